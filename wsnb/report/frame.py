"""Results of finished stages, from their manifests alone."""

import dataclasses
from pathlib import Path

from wsnb.files import FileError
from wsnb.report.protocol import Protocol, ProtocolError
from wsnb.run import manifest


@dataclasses.dataclass(frozen=True)
class Record:
    """One finished stage: where it stands and its manifest, checked.

    folder is its run folder, or None for a published record, whose files are elsewhere or gone.
    """

    paper: str
    experiment: str
    stage: str
    manifest: dict
    folder: Path | None = None

    @property
    def title(self) -> str:
        """paper/experiment."""
        return f"{self.paper}/{self.experiment}"


@dataclasses.dataclass(frozen=True)
class Row:
    """One measured number with all that is known of its making."""

    paper: str
    experiment: str
    stage: str
    name: str  # the metric: "mIoU"
    value: float | None  # None: undefined
    unit: str
    protocol: Protocol | None  # None: the stage gave none, so it is compared with nothing
    undefined: tuple  # names of the parts (classes) without a value
    key: str
    git_commit: str | None
    git_dirty: bool | None
    seconds: float  # of the stage
    peak_cpu_bytes: int
    peak_gpu_bytes: int
    role: str = ""  # "final", "ladder" or "bound"; empty for a number without protocol
    step: str = ""  # of a ladder: what was measured, "GrabCut labels"


def records(runs) -> list:
    """Records of all finished stages below RUNS (runs/PAPER/EXPERIMENT/STAGE/manifest.json), sorted by their names.

    A stage is a link into the store; hidden folders do not count. Another seed of an experiment is called NAME@seedN.
    Raises FileError naming a damaged manifest and the remedy.
    """
    found = []
    for folder in sorted(path.parent for path in Path(runs).glob(f"*/*/*/{manifest.NAME}")):
        paper, experiment, stage = folder.parts[-3:]
        if not any(part.startswith(".") for part in folder.parts[-3:]):
            found.append(
                Record(
                    paper, experiment, stage, checked(manifest.read(folder), folder / manifest.NAME), folder
                )
            )
    return found


def unfinished(runs) -> list:
    """(paper, experiment, stage) of the run folders that hold work without a manifest, sorted."""
    begun = sorted(path.parent for path in Path(runs).glob(f"*/*/*/{manifest.PARAMS}"))
    return [folder.parts[-3:] for folder in begun if not (folder / manifest.NAME).exists()]


def checked(record: dict, where) -> dict:
    """RECORD if it is a whole manifest with typed results. Raises FileError naming WHERE and the mend."""
    mend = "move that folder away and run the stage again"
    kinds = {
        "params": dict,
        "environment": dict,
        "seconds": (int, float),
        "peak_cpu_bytes": int,
        "peak_gpu_bytes": int,
        "results": list,
        "key": str,
    }
    for name, kind in kinds.items():
        if not isinstance(record.get(name), kind):
            raise FileError(f"{where}: {name} is missing or of the wrong type; {mend}")
    for result in record["results"]:
        if not isinstance(result, dict) or not {"name", "value", "unit"} <= set(result):
            raise FileError(f"{where}: result {result!r} lacks name, value or unit; {mend}")
        value = result["value"]
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise FileError(f"{where}: the value of {result['name']} is {value!r}, not a number; {mend}")
        if result.get("protocol") is not None:
            try:
                Protocol.from_dict(result["protocol"])
            except ProtocolError as error:
                raise FileError(f"{where}: result {result['name']}: {error}; {mend}") from error
    return record


def in_chain(found) -> list:
    """Records with the stages of each experiment in the order of its chain: a stage after all that it was made from,
    as its manifest states, else in the order given. 05@2 that needs 08 comes after 08."""
    made, titles = [], list(dict.fromkeys(record.title for record in found))
    for title in titles:
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


def rows(found) -> list:
    """The Rows of Records, the stages of each experiment in the order of its chain."""
    made = []
    for record in in_chain(found):
        of = record.manifest
        for result in of["results"]:
            protocol = result.get("protocol")
            made.append(
                Row(
                    record.paper,
                    record.experiment,
                    record.stage,
                    result["name"],
                    None if result["value"] is None else float(result["value"]),
                    result["unit"],
                    None if protocol is None else Protocol.from_dict(protocol),
                    tuple(_undefined(result.get("detail") or {})),
                    of["key"],
                    of["environment"].get("git_commit"),
                    of["environment"].get("git_dirty"),
                    of["seconds"],
                    of["peak_cpu_bytes"],
                    of["peak_gpu_bytes"],
                    _role(result),
                    result.get("step", ""),
                )
            )
    return made


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


def collect(runs) -> list:
    """Rows of all finished stages below RUNS. Raises FileError naming a damaged manifest and the mend."""
    return rows(records(runs))


def chosen(local, published) -> list:
    """Records to report: an experiment's local ones if they hold every stage that was published, else those published.

    Never a mixture of both, since their stages need not belong together.
    """
    titles = sorted({record.title for record in [*local, *published]})
    found = []
    for title in titles:
        here, there = ([record for record in some if record.title == title] for some in (local, published))
        found += here if {record.stage for record in there} <= {record.stage for record in here} else there
    return found
