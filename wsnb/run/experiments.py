"""Experiments: one YAML file each, its stages and their needs; and the built-in data sets that they name."""

import dataclasses
import re
import time
from pathlib import Path

from wsnb.files import FileError, read_text
from wsnb.run import locks, notebooks, papers, params, paths

SYNTHETIC = "shapes"  # experiments whose name starts so need no data but the built-in set
ESTIMATED = "`wsnb plan NAME --estimate`"  # in the header of those on published data sets at their full size


@dataclasses.dataclass(frozen=True)
class StagePlan:
    """One stage of an experiment before it runs."""

    name: str  # its folder: 02_train or 02_train@2
    notebook: notebooks.Notebook
    params: dict  # {name: Param}, as declared
    values: dict  # {name: value}, complete
    needs: tuple  # names of earlier stages; empty for a stage of another experiment
    source: "Experiment | None" = None  # the other experiment that this stage is of

    @property
    def device(self) -> str:
        """The device for which it takes a GPU's slot. A stage without threads of torch has no network: it takes one for
        a CRF in torch only."""
        only_crf = "threads" not in self.values and "crf_backend" in self.values
        return "cpu" if only_crf and self.values["crf_backend"] != "torch" else self.values.get("device", "cpu")


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One YAML file of params/, checked against the notebooks that it names."""

    paper: str
    name: str
    path: Path
    values: dict  # {name: value} of all stages; its own ones count before those of other experiments
    stages: tuple

    @property
    def title(self) -> str:
        """paper/name, as typed on the command line."""
        return f"{self.paper}/{self.name}"


def names(project) -> list:
    """All experiments of a project, as 'paper/name', in the order of the chapters, then sorted."""
    found = [f"{path.parent.name}/{path.stem}" for path in Path(project, "params").glob("[!.]*/[!.]*.yaml")]
    return sorted(found, key=lambda title: (papers.find(title.split("/")[0]).order, title))


def split(project, text: str) -> tuple[str, str]:
    """'paper/name' -> (paper, name). Raises BadName, with the experiments that a TEXT without a slash may stand for."""
    try:
        return paths.split_experiment(text)
    except paths.BadName as error:
        known = names(project)
        meant = [one for one in known if text in one.split("/")] if "/" not in text else []
        if not meant:
            raise
        shown = ", ".join(meant[:4]) + (" ..." if len(meant) > 4 else "")
        raise paths.BadName(f"experiment {text!r}: write it as PAPER/NAME, for instance {shown}") from error


FIELDS = ("Paper", "Expected", "Hardware and time", "Departures", "Command", "Apart", "Data", "Lists", "Weights",
          "CAMs", "Regions", "Corrected")  # of a header
HEADING = re.compile(f"({'|'.join(FIELDS)}): (.*)")


def header(path) -> dict:
    """{field: text} of an experiment's header comment, lines joined; "" is the text before the first field.

    Raises FileError if the file is not UTF-8 text.
    """
    found, field = {}, ""
    for line in read_text(path).splitlines():
        if not line.startswith("#"):
            break
        line = line.lstrip("#").strip()
        if match := HEADING.fullmatch(line):
            field, line = match[1], match[2]
        found[field] = f"{found[field]} {line}".strip() if field in found else line
    return found


def is_at_full_size(experiment: Experiment) -> bool:
    """Whether an experiment is on a published data set as it is, as its header says: what it takes is known before."""
    return ESTIMATED in header(experiment.path).get("Hardware and time", "")


def description(path) -> str:
    """What an experiment's header says before its first field. Raises FileError if the file is not UTF-8 text."""
    return header(path).get("", "")


def yaml_path(project, paper: str, name: str) -> Path:
    """params/PAPER/NAME.yaml; raises FileError with the nearest name if it is not there."""
    path = Path(
        project, "params", paths.check_name("paper", paper), f"{paths.check_name('experiment', name)}.yaml"
    )
    if not path.is_file():
        hint = params.nearest(f"{paper}/{name}", names(project), "`wsnb list`")
        raise FileError(f"no experiment {paper}/{name}; {hint}")
    return path


def stage_names(values: dict, path) -> list:
    """Names of the listed stages, in order. Raises ParamsError or BadName."""
    return list(listed_stages(values, path))


def listed_stages(values: dict, path) -> dict:
    """{name: None, or the experiment that this stage is of} of the list under `stages`, in order.

    `[01_make, 02_train: PAPER/NAME]` has two stages, the second of another experiment. Raises ParamsError or
    BadName.
    """
    listed = values.get("stages")
    if not isinstance(listed, list) or not listed:
        raise params.ParamsError(
            f"{path}: `stages` is missing; add for instance `stages: [01_train, 02_masks]`"
        )
    entries = [entry for one in listed for entry in (one.items() if isinstance(one, dict) else [(one, None)])]
    stages = {paths.stage_folder_name(*paths.split_stage(stage)): source for stage, source in entries}
    if len(stages) < len(entries):
        raise params.ParamsError(
            f"{path}: a stage is listed twice; write its second round as {list(stages)[-1].split('@')[0]}@2"
        )
    return stages


def needed(notebook: notebooks.Notebook, stage: str, stages: list) -> tuple:
    """Names of the earlier stages that STAGE needs: those of its notebook's metadata, else all earlier ones.

    A need without a round means the latest earlier round; one that only comes later in the list (feedback of
    an earlier round) is left out in the first round. A need that ends in "?" is left out where the experiment
    does not have it. Raises FileError for any other need that the experiment does not have.
    """
    earlier = stages[: stages.index(stage)]
    if notebook.needs is None:
        return tuple(earlier)
    found = []
    for need in notebook.needs:
        optional, need = need.endswith("?"), need.removesuffix("?")
        name = find_stage(need, earlier)
        if name is not None:
            found.append(name)
        elif not optional and find_stage(need, stages) is None:
            raise FileError(
                f"{notebook.path}: needs {need}, which is not among the stages {stages}; add it there"
            )
    return tuple(dict.fromkeys(found))


def find_stage(need: str, stages) -> str | None:
    """The stage that NEED means among STAGES: itself with '@n', else the latest round of that notebook; None
    if none.
    """
    notebook, round_ = paths.split_stage(need)
    if "@" in need:
        name = paths.stage_folder_name(notebook, round_)
        return name if name in stages else None
    rounds = [stage for stage in stages if paths.split_stage(stage)[0] == notebook]
    return rounds[-1] if rounds else None


def load(project, paper: str, name: str, within: tuple = (), alike: bool = True) -> Experiment:
    """Read and check an experiment; where its YAML is silent, the notebooks' defaults count. NAME may end in @seedN.

    WITHIN are the experiments that have a stage of this one. Without ALIKE, a notebook may hold another default than
    the others, as an open one does where a reader has typed a value; the first notebook's counts. Raises ParamsError or
    FileError: an unknown name, a wrong type, a missing run_dir, two notebooks that declare one name differently.
    """
    name, seed = paths.split_seed(name)
    path = yaml_path(project, paper, name)
    if (title := f"{paper}/{name}") in within:
        raise params.ParamsError(f"{path}: has a stage of {within[-1]}, which has one of {title}; take one of them out")
    values = params.load_yaml(path)
    listed = listed_stages(values, path)
    sources = {
        stage: load(project, *paths.split_experiment(source), (*within, title), alike)
        for stage, source in listed.items()
        if source is not None
    }
    stages = list(listed)
    read, union, where = {}, {}, {}
    for stage in stages:
        stem = paths.split_stage(stage)[0]
        if stage not in sources and stem not in read:
            notebook = notebooks.read(Path(project, "notebooks", paper, f"{stem}.ipynb"))
            read[stem] = notebook, params.declared(notebook)
    for notebook, declared in read.values():
        for param in declared.values():
            first, place = union.setdefault(param.name, param), where.setdefault(param.name, notebook.path)
            if alike and (first.type, first.default, first.allowed) != (param.type, param.default, param.allowed):
                raise params.ParamsError(
                    f"{notebook.path}: {param.name} is declared as {_declared(param)}, but as {_declared(first)} in "
                    f"{place}; make them alike, for {path} has one value for both"
                )
    flat = {key: value for key, value in values.items() if key != "stages"}
    if "run_dir" in union and "run_dir" not in flat:
        raise params.ParamsError(f'{path}: run_dir is missing; add `run_dir: "runs/{paper}/{name}"`')
    union.pop("round", None)  # of a stage, not of an experiment
    flat = params.complete(flat, union, str(path))
    plans = plan(stages, read, flat, sources)
    theirs = {key: value for stage in plans if stage.source for key, value in stage.values.items() if key != "round"}
    made = Experiment(paper, name, path, {**theirs, **flat}, plans)
    return made if seed is None else with_seed(made, seed)


def _declared(param) -> str:
    return f"`{param.name}: {param.type} = {param.default!r}  # {param.allowed}".rstrip(" #") + "`"


def plan(stages: list, read: dict, values: dict, sources: dict) -> tuple:
    """StagePlans of the listed stages. READ is {notebook name: (Notebook, {name: Param})} for those of this experiment,
    SOURCES {stage: Experiment} for the others. Raises ParamsError."""
    plans = []
    for stage in stages:
        if stage in sources:
            plans.append(_of(sources[stage], stage))
            continue
        stem, round_ = paths.split_stage(stage)
        notebook, declared = read[stem]
        if round_ > 1 and getattr(declared.get("round"), "type", None) != "int":
            raise params.ParamsError(
                f"{notebook.path}: listed as {stage}, therefore it has to declare `round: int = 1`"
            )
        own = {name: round_ if name == "round" else values[name] for name in declared}
        plans.append(StagePlan(stage, notebook, declared, own, needed(notebook, stage, stages)))
    return tuple(plans)


def _of(source: Experiment, stage: str) -> StagePlan:
    """The plan of a stage of the other experiment SOURCE."""
    found = next((plan for plan in source.stages if plan.name == stage), None)
    if found is None:
        names_ = [plan.name for plan in source.stages]
        raise params.ParamsError(f"{source.path}: it has no stage {stage}; {params.nearest(stage, names_)}")
    return dataclasses.replace(found, needs=(), source=source)


def union(experiment: Experiment) -> dict:
    """{name: Param} over all stages of an experiment, and of those that its stages are of; its own count before theirs.
    """
    theirs = [union(stage.source) for stage in experiment.stages if stage.source]
    own = [stage.params for stage in experiment.stages if not stage.source]
    return {name: param for params_ in (*theirs, *own) for name, param in params_.items()}


def data_roots(experiment: Experiment) -> set:
    """Data roots of all stages of an experiment, and of the experiments that its stages are of."""
    own = {stage.values["data_root"] for stage in experiment.stages if stage.values.get("data_root")}
    return own.union(*(data_roots(stage.source) for stage in experiment.stages if stage.source))


def with_values(experiment: Experiment, changed: dict) -> Experiment:
    """The experiment with some values replaced, in every stage of its own that declares them."""
    stages = tuple(
        stage
        if stage.source
        else dataclasses.replace(
            stage, values={name: changed.get(name, value) for name, value in stage.values.items()}
        )
        for stage in experiment.stages
    )
    return dataclasses.replace(experiment, values={**experiment.values, **changed}, stages=stages)


def with_sources(experiment: Experiment, change) -> Experiment:
    """The experiment with each stage that is of another one taken from CHANGE(that one) instead."""
    stages = tuple(_of(change(stage.source), stage.name) if stage.source else stage for stage in experiment.stages)
    return dataclasses.replace(experiment, stages=stages)


def with_seed(experiment: Experiment, seed: int) -> Experiment:
    """The experiment with another seed in all its stages, called NAME@seedN; NAME if it is the YAML's own.

    Raises ParamsError if no stage has a parameter `seed`.
    """
    if "seed" not in union(experiment):
        raise params.ParamsError(f"{experiment.path}: no stage has a parameter `seed`; run it without a seed")
    if seed == experiment.values.get("seed"):
        return experiment

    made = with_values(experiment, {"seed": seed} if "seed" in experiment.values else {})
    made = with_sources(made, lambda source: with_seed(source, seed) if "seed" in union(source) else source)
    return dataclasses.replace(made, name=f"{experiment.name}@seed{seed}")


def begun_seeds(runs, names_: list) -> list:
    """NAMES_ ('paper/name') with the seeds that each was run with below RUNS, sorted."""
    seeds = [f"{path.parent.name}/{path.name}" for path in Path(runs).glob("*/*@seed*")]
    return sorted({*names_, *(title for title in seeds if paths.split_seed(title)[0] in names_)})


FOLDER = "data/shapes"
PLACE = f"{FOLDER}/VOCdevkit"  # the one that most experiments use


def is_builtin(project, data_root) -> bool:
    """Whether a data_root is that of a built-in set of this project."""
    from wsnb.data import synthetic

    place = (Path(project) / Path(data_root).expanduser()).resolve()
    return place.parent == (Path(project) / FOLDER).resolve() and place.name in synthetic.MAKERS


def is_whole(folder) -> bool:
    """Whether today's drawing lies in the built-in set FOLDER, with every file of its lists."""
    from wsnb.data import synthetic

    return synthetic.is_whole(folder)


def ensure(project, say, data_root=PLACE) -> None:
    """Make the built-in set at DATA_ROOT if it is missing or not whole; a second run at the same time waits for the
    first.

    Raises FileError if the folder holds something else.
    """
    from wsnb.data import synthetic

    folder = Path(project) / Path(data_root).expanduser()
    if synthetic.is_whole(folder):
        return
    with locks.acquire(
        folder.parent / f".making.{folder.name}.lock", f"the synthetic data set in {folder}", wait=900
    ):
        if synthetic.is_whole(folder):
            return
        say(f"making the synthetic data set in {folder}")
        last = [time.monotonic()]

        def progress(done, total):
            if time.monotonic() - last[0] >= 5 or done == total:
                last[0] = time.monotonic()
                say(f"{done}/{total} pictures")

        try:
            synthetic.maker(folder.name).write(folder, progress=progress)
        except FileError as error:
            raise FileError(f"{error}. The book keeps its own pictures there: move {folder} away") from error
