"""`wsnb params`: all values of an experiment, those that differ from the notebooks' defaults or the paper's marked."""

from wsnb.run import experiments, params


def text(experiment: experiments.Experiment) -> str:
    """Tell every resolved value under the first stage that declares it, with the default and the paper's value where
    these are others."""
    paper = params.paper_values(experiment.path)
    width = max(map(len, experiment.values), default=0)
    lines, seen = [f"{experiment.title}: {experiments.description(experiment.path)}"], {"round"}
    for stage in experiment.stages:
        if stage.source:
            lines += ["", f"{stage.name} of {stage.source.title}"]
            continue
        new = [param for name, param in stage.params.items() if name not in seen]
        if new:
            lines += ["", stage.name, *(_line(param, experiment.values[param.name], paper, width) for param in new)]
        seen |= stage.params.keys()
    return "\n".join(lines)


def of_stage(experiment: experiments.Experiment, name: str) -> str:
    """YAML of the values that the stage NAME declares: a file that papermill takes with -f. Raises ParamsError."""
    stages = {stage.name: stage for stage in experiment.stages}
    if name not in stages:
        raise params.ParamsError(f"--stage {name}: no such stage; {params.nearest(name, stages)}")
    lines = [f"{key}: {params.yaml_text(value)}" for key, value in stages[name].values.items()]
    return "\n".join(lines)


def _line(param, value, paper, width) -> str:
    said = [f"default {params.yaml_text(param.default)}"] if value != param.default else []
    if param.name in paper:
        said.append(f"paper {params.yaml_text(paper[param.name])}")
    return f"  {param.name:{width}}  {params.yaml_text(value):24}  {', '.join(said)}".rstrip()
