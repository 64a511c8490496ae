"""All runs of an experiment on this machine, with whatever parameters and seeds: what a lesson's experiment changed."""

from fnmatch import fnmatchcase
from pathlib import Path

import pandas as pd

from wsnb.report import text
from wsnb.run import experiments, manifest, params, paths, store

AS_IT_IS = "as it is"


def show(title: str, stage: str, *results: str, runs: str = "runs"):
    """The table of `frame` for a notebook, or a line that says what to run."""
    found = frame(title, stage, *results, runs=runs)
    return text.show(found) if len(found) else f"no finished run here yet: wsnb run {title}, then run this cell again"


def frame(title: str, stage: str, *results: str, runs: str = "runs") -> pd.DataFrame:
    """A row a finished run of STAGE of TITLE ("paper/name") in the store of RUNS.

    First the parameters of all its stages that differ from the experiment's, then the values of RESULTS: of each
    pattern (* is any text) the first result whose title, as `wsnb run` prints it, fits.

    Raises BadName, ParamsError or FileError.
    """
    project = paths.find()
    wanted = experiments.load(project, *experiments.split(project, title), alike=False)
    written = {one.name: one.values for one in wanted.stages}
    records = {path.parent.name: manifest.read(path.parent)
               for path in sorted(Path(project, runs, store.FOLDER).glob(f"*/{manifest.NAME}"))}
    rows = {}
    for record in records.values():
        if (record["paper"], record["experiment"].partition("@")[0], record["stage"]) != (*title.split("/"), stage):
            continue
        chain = [record, *(records[key] for key in record["parts"]["upstream"].values() if key in records)]
        changed = {name: value for one in chain for name, value in one["params"].items()
                   if name not in params.MACHINE and value != written.get(one["stage"], {}).get(name, value)}
        values = {manifest.title(result): result["value"] for result in record["results"]}
        said = ", ".join(f"{name}={params.yaml_text(value)}" for name, value in sorted(changed.items())) or AS_IT_IS
        rows[said] = [text.ours(next((values[name] for name in values if fnmatchcase(name, one)), None))
                      for one in results]
    order = sorted(rows, key=lambda said: (said != AS_IT_IS, said))
    return pd.DataFrame([[said, *rows[said]] for said in order], columns=["parameters", *results], dtype=object)
