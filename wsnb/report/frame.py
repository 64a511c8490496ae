"""The results frame: every measured number as a row of one pandas DataFrame, from records alone.

A reader's own question starts with `results = frame.load()`.
"""

import dataclasses
from pathlib import Path

import pandas as pd

from wsnb.files import FileError, load_json
from wsnb.metrics import counts
from wsnb.report import cost
from wsnb.report.protocol import FIELDS, Protocol, ProtocolError
from wsnb.run import manifest, paths
from wsnb.run.experiments import SYNTHETIC

PUBLISHED, FORMAT = "record.json", 1
EXECUTED = "notebook.ipynb"  # in a run folder
STAGE = ["paper", "experiment", "stage", "seed", "seconds", "peak_cpu_bytes", "peak_gpu_bytes", "gpu", "cpu_count",
         "torch", "started", "key", "git_commit", "git_dirty", "published"]  # fmt: skip
COLUMNS = ["paper", "experiment", "seed", "stage", "metric", "value", "unit", "role", "step", "undefined", "counts",
           "stated", "synthetic", *FIELDS, *cost.COLUMNS, *STAGE[4:]]  # fmt: skip


def load(runs="runs", figures="figures") -> pd.DataFrame:
    """All results of finished and published experiments, a row each, the stages of a chain in their order.

    paper, experiment, seed, stage  where it was measured
    metric, value, unit             "mIoU", 61.5, "%"; NaN: undefined
    role                            "final", "ladder" (a step of the chain) or "bound"; "" for a number without protocol
    step                            of a ladder: what was measured, "GrabCut labels"
    undefined                       names of the classes without a value
    counts                          (file, name, measure) of wsnb.metrics.counts, of single pictures; else None
    stated, dataset, ... backbone   whether it has a wsnb.report.protocol.Protocol, and its fields; else None
    synthetic                       whether its pictures are of the built-in sets
    label_seconds, ...              a person's time for the training labels, see wsnb.report.cost
    seconds, peak_*_bytes, ...      of the stage: wall time, memory, machine, key, commit
    published                       whether the record is a published one

    RUNS and FIGURES are folders, relative ones below the project. Raises FileError naming a damaged record.
    """
    return results(load_records(runs, figures))


def load_records(runs="runs", figures="figures") -> list:
    """The Records that load reads."""
    return chosen(records(paths.find() / runs), published(paths.find() / figures))


def stages(found) -> pd.DataFrame:
    """Time, memory and machine of each stage of Records, in their order; columns STAGE."""
    return pd.DataFrame([_stage(record) for record in found], columns=STAGE, dtype=object)


def results(found) -> pd.DataFrame:
    """The results frame of Records; see load."""
    rows = []
    for record in in_chain(found):
        for result in record.manifest["results"]:
            stated = result.get("protocol")
            of = dict.fromkeys(FIELDS) if stated is None else dataclasses.asdict(Protocol.from_dict(stated))
            rows.append({
                **_stage(record), **of, "metric": result["name"], "value": result["value"], "unit": result["unit"],
                "role": _role(result), "step": result.get("step", ""), "stated": stated is not None,
                "undefined": tuple(_undefined(result.get("detail") or {})), "counts": _counts(record, result),
                "synthetic": any(str(name).startswith(SYNTHETIC) for name in (record.experiment, of["dataset"])),
            })  # fmt: skip
    made = pd.DataFrame(rows, columns=COLUMNS, dtype=object)
    kinds = {"value": float, "stated": bool, "synthetic": bool, "label_seconds": float, "label_total": float}
    return cost.add(made, found).astype(kinds)


@dataclasses.dataclass(frozen=True)
class Record:
    """One finished stage: where it stands and its manifest, checked.

    folder is its run folder, or None for a published record, whose files are elsewhere or gone; counts is the file of
    the counts of single pictures, if its results have some; notebook is the executed one, if it was kept.
    """

    paper: str
    experiment: str
    stage: str
    manifest: dict
    folder: Path | None = None
    counts: Path | None = None
    notebook: Path | None = None

    @property
    def title(self) -> str:
        """paper/experiment."""
        return f"{self.paper}/{self.experiment}"


def records(runs) -> list:
    """Records of all finished stages below RUNS (runs/PAPER/EXPERIMENT/STAGE/manifest.json), sorted by their names.

    A stage is a link into the store; hidden folders do not count. Another seed of an experiment is called NAME@seedN.
    Raises FileError naming a damaged manifest, or a stage whose files do not match it, and the remedy.
    """
    found = []
    for folder in sorted(path.parent for path in Path(runs).glob(f"*/*/*/{manifest.NAME}")):
        paper, experiment, stage = folder.parts[-3:]
        if not any(part.startswith(".") for part in folder.parts[-3:]):
            of = checked(manifest.read(folder), folder / manifest.NAME)
            need_sound(folder, of, full=False)
            found.append(Record(paper, experiment, stage, of, folder, folder / counts.NAME, folder / EXECUTED))
    return found


def need_sound(folder, record: dict, full: bool) -> None:
    """Raise FileError if the files of a stage do not match its manifest RECORD; FULL reads every one of them."""
    faults = manifest.problems(folder, record, full)
    if faults:
        raise FileError(f"{folder}: {'; '.join(faults[:3])}; run `wsnb run {record['paper']}/{record['experiment']} "
                        "--verify` again first")


def published(figures) -> list:
    """Records of all published experiments below FIGURES. Raises FileError naming a damaged one and the remedy."""
    return [Record(*path.parts[-3:-1], stage, checked(of, f"{path}, {stage}"), None, path.parent / counts_name(stage),
                   path.parent / notebook_name(stage))
            for path in sorted(Path(figures).glob(f"*/*/{PUBLISHED}"))
            for stage, of in sorted(read_published(path)["stages"].items())]


def notebook_name(stage: str) -> str:
    """Name of the published executed notebook of a stage."""
    return f"{stage}.ipynb"


def counts_name(stage: str) -> str:
    """Name of the published file of a stage's counts."""
    return f"{stage}-{counts.NAME}"


def read_published(path) -> dict:
    """One published record.json: {"stages", "pictures", "command"}. Raises FileError."""
    record = load_json(path)
    kinds = {"stages": dict, "pictures": dict, "command": str}
    if (not isinstance(record, dict) or record.get("format") != FORMAT
            or any(not isinstance(record.get(name), kind) for name, kind in kinds.items())):
        raise FileError(f"{path}: not a record of format {FORMAT}; check it out again, or publish the experiment again")
    return record


def unfinished(runs) -> list:
    """(paper, experiment, stage) of the run folders that hold work without a manifest, sorted."""
    begun = sorted(path.parent for path in Path(runs).glob(f"*/*/*/{manifest.PARAMS}"))
    return [folder.parts[-3:] for folder in begun if not (folder / manifest.NAME).exists()]


def chosen(local, published) -> list:
    """Records to report: an experiment's local ones if they hold every stage that was published, else those published.

    Never a mixture of both, since their stages need not belong together.
    """
    found = []
    for title in sorted({record.title for record in [*local, *published]}):
        here, there = ([record for record in some if record.title == title] for some in (local, published))
        found += here if {record.stage for record in there} <= {record.stage for record in here} else there
    return found


def checked(record: dict, where) -> dict:
    """RECORD if it is a whole manifest with typed results. Raises FileError naming WHERE and the remedy."""
    remedy = "move that folder away and run the stage again"
    kinds = {"params": dict, "environment": dict, "seconds": (int, float), "peak_cpu_bytes": int,
             "peak_gpu_bytes": int, "results": list, "key": str}  # fmt: skip
    for name, kind in kinds.items():
        if not isinstance(record.get(name), kind):
            raise FileError(f"{where}: {name} is missing or of the wrong type; {remedy}")
    for result in record["results"]:
        if not isinstance(result, dict) or not {"name", "value", "unit"} <= set(result):
            raise FileError(f"{where}: result {result!r} lacks name, value or unit; {remedy}")
        value = result["value"]
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise FileError(f"{where}: the value of {result['name']} is {value!r}, not a number; {remedy}")
        if result.get("protocol") is not None:
            try:
                Protocol.from_dict(result["protocol"])
            except ProtocolError as error:
                raise FileError(f"{where}: result {result['name']}: {error}; {remedy}") from error
    return record


def in_chain(found) -> list:
    """Records with the stages of each experiment in the order of its chain: a stage after all that it was made from,
    as its manifest states, else in the order given. 05@2 that needs 08 comes after 08."""
    made = []
    for title in dict.fromkeys(record.title for record in found):
        left = [record for record in found if record.title == title]
        while left:
            names = {record.stage for record in left}
            ready = [record for record in left if not names & _needs(record) - {record.stage}]
            made.append((ready or left)[0])
            left.remove(made[-1])
    return made


def _needs(record) -> set:
    """Names of the stages whose results a stage read."""
    parts = record.manifest.get("parts")
    return set((parts.get("upstream") or {}) if isinstance(parts, dict) else {})


def _stage(record) -> dict:
    of = record.manifest
    known = {**of["environment"], **of, **vars(record), "published": record.folder is None}
    known["seed"] = of["params"].get("seed") if of.get("seed") is None else of["seed"]
    return {name: known.get(name) for name in STAGE}


def _counts(record, result) -> tuple | None:
    """(file, name, measure) of a result's counts."""
    of = result.get("counts")
    return None if of is None or record.counts is None else (str(record.counts), of["name"], of["measure"])


def _role(result) -> str:
    """The role that a result states; without one, a measured number is the end of its chain, or a bound."""
    if result.get("role"):
        return result["role"]
    protocol = result.get("protocol")
    if result["name"].startswith("label "):  # a quality of labels, "label mIoU"
        return "ladder"
    if protocol is None:
        return "ladder" if result.get("step") else ""
    return "bound" if protocol.get("method") == "all background" or protocol.get("supervision") == "full" else "final"


def _undefined(detail) -> list:
    """Names under which DETAIL, a mapping of numbers or of such mappings, holds no number."""
    names = []
    for name, value in detail.items():
        names += [name] if value is None else _undefined(value) if isinstance(value, dict) else []
    return list(dict.fromkeys(names))
