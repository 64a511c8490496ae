"""Published results: the manifests of a finished run in one record, with its small pictures, under figures/."""

import io
import os
import re
from pathlib import Path

from PIL import Image

from wsnb.book import experiments, keys, params, results
from wsnb.book.root import find, run_folder, split_experiment
from wsnb.files import FileError, inside, load_json, save_json, write

NAME = "record.json"
FORMAT = 1
PICTURES = (".png", ".jpg", ".jpeg", ".svg")
LARGEST = 2_500_000  # bytes of a picture that may go into git
MOST = 24  # pictures of a stage
OUTSIDE = re.compile(
    r"""(?<![\w.:/])(?:/|(?:\.\./)+)(?:[^\s/'"]+/)*(?=[^\s/'"])"""
)  # a path that leaves the project
FOLDER = "figures"  # of a stage's run folder


def publish(runs, experiment: str, figures, project=None) -> Path:
    """Copy the finished run RUNS/PAPER/NAME of EXPERIMENT ("paper/name") to FIGURES/PAPER/NAME. Returns that folder.

    It then holds record.json (the command, and the manifests without places of this machine) and the pictures.
    Raises FileError if a stage is not finished, naming the command that finishes it, or if a picture is too large.
    """
    project = find() if project is None else Path(project)
    paper, name = split_experiment(experiment)
    found = [record for record in results.records(runs) if record.title == experiment]
    missing = _missing(project, runs, paper, name, {record.stage for record in found})
    if missing or not found:
        raise FileError(
            f"{experiment}: {', '.join(missing) or 'no stage of it'} not finished in "
            f"{run_folder(runs, paper, name)}; run `wsnb run {experiment}` to its end first"
        )
    folder = Path(figures, paper, name)
    shown = {}
    for record in found:
        for source, alt in pictures(record):
            target = f"{record.stage}-{source.name}"
            if source.stat().st_size > LARGEST:
                raise FileError(
                    f"{source}: {source.stat().st_size / 1e6:.1f} MB is too large to publish; draw it "
                    f"smaller (at most {LARGEST / 1e6:.1f} MB) and run {record.stage} again"
                )
            with write(folder / target) as file:
                file.write(lighter(source))
            shown[target] = alt
    stages = {record.stage: portable(record.manifest, project) for record in found}
    save_json(
        folder / NAME,
        {
            "format": FORMAT,
            "paper": paper,
            "experiment": name,
            "pictures": shown,
            "stages": stages,
            "command": command(project, found),
        },
    )
    return folder


def lighter(picture) -> bytes:
    """A picture's file for git: a PNG with its 256 best colours where that is smaller, a third as a rule."""
    plain = Path(picture).read_bytes()
    if Path(picture).suffix.lower() != ".png":
        return plain
    buffer = io.BytesIO()
    with Image.open(picture) as image:
        image.convert("RGB").quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
            buffer, "PNG", optimize=True
        )
    return min(plain, buffer.getvalue(), key=len)


def _missing(project, runs, paper, name, done) -> list:
    """Stages of an experiment that are begun or listed in its YAML, but not DONE."""
    begun = [stage for *title, stage in results.unfinished(runs) if title == [paper, name]]
    path = Path(project, "params", paper, f"{name}.yaml")
    listed = experiments.stage_names(params.load_yaml(path), path) if path.is_file() else []
    return sorted({*begun, *listed} - done)


def published(figures) -> list:
    """Records of all published experiments below FIGURES. Raises FileError naming a damaged one and the mend."""
    found = []
    for path in sorted(Path(figures).glob(f"*/*/{NAME}")):
        record = _read(path)
        for stage, of in sorted(record["stages"].items()):
            found.append(results.Record(*path.parts[-3:-1], stage, results.checked(of, f"{path}, {stage}")))
    return found


def published_pictures(figures, title: str) -> list:
    """(path, text instead of the picture) of a published experiment."""
    path = Path(figures, *title.split("/"), NAME)
    return (
        [(path.parent / name, alt) for name, alt in sorted(_read(path)["pictures"].items())]
        if path.exists()
        else []
    )


def published_command(figures, title: str) -> str:
    """The command that made a published experiment, or ""."""
    path = Path(figures, *title.split("/"), NAME)
    return _read(path)["command"] if path.exists() else ""


def _read(path) -> dict:
    record = load_json(path)
    kinds = {"stages": dict, "pictures": dict, "command": str}
    if (
        not isinstance(record, dict)
        or record.get("format") != FORMAT
        or any(not isinstance(record.get(name), kind) for name, kind in kinds.items())
    ):
        raise FileError(
            f"{path}: not a record of format {FORMAT}; check it out again, or publish the experiment again"
        )
    return record


def pictures(record) -> list:
    """(path, text instead of the picture) that a stage shows to the world: those that its notes name under "figures"
    ({file: text}), those in its folder figures/, and those at the top of its run folder."""
    named = record.manifest.get("notes", {}).get("figures", {})
    named = named if isinstance(named, dict) else dict.fromkeys(named, "")
    places = [*record.folder.glob("*"), *(record.folder / FOLDER).glob("*")]
    places = sorted([*places, *(inside(record.folder, name) for name in named)])
    found = {path.resolve(): path for path in places if path.suffix.lower() in PICTURES and path.is_file()}
    if len(found) > MOST:
        raise FileError(
            f"{record.folder}: {len(found)} pictures, more than {MOST}; keep masks and the like in a folder of "
            f"their own, so that only figures lie here or in {FOLDER}/"
        )
    alts = {(record.folder / name).resolve(): alt for name, alt in named.items()}
    return [(path, alts.get(real) or _words(path.stem)) for real, path in found.items()]


def _words(stem):
    return re.sub(r"[_\-]+", " ", stem).strip().capitalize()


def command(project, found) -> str:
    """The command that makes these records, with the parameters that differ from the experiment's YAML."""
    paper, name = found[0].paper, found[0].experiment
    path = Path(project, "params", paper, f"{name}.yaml")
    if not path.is_file():
        return f"run by hand: no params/{paper}/{name}.yaml"
    written = params.load_yaml(path)
    used = {
        key: value for record in found for key, value in record.manifest["params"].items() if key != "round"
    }
    said = [f"wsnb run {paper}/{name}"]
    data, asked = (Path(project, values.get("data_root", "")).resolve() for values in (used, written))
    if data != asked:
        said.append("--data-root DIR")
    for key, value in sorted(used.items()):
        if key not in params.MACHINE and value != written.get(key):
            said.append(f"-p {key}={_typed(portable(value, project))}")
    return " ".join(said)


def _typed(value):
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"'{text}'" if re.search(r"[\s\[\]*?$&;|<>()]", text) or not text else text


def portable(value, project=None):
    """VALUE without places of this machine: paths in PROJECT become relative, of others the last part stays.

    A manifest's list of files becomes their number, their size and one hash of all.
    """
    if isinstance(value, dict):
        made = {key: portable(item, project) for key, item in value.items()}
        if "key" in value and isinstance(value.get("files"), dict):
            files = value["files"]
            size = sum(of["size"] for of in files.values())
            made["files"] = {"count": len(files), "bytes": size, "sha256": keys.digest(files)}
        return made
    if isinstance(value, list):
        return [portable(item, project) for item in value]
    if not isinstance(value, str) or "\n" in value:
        return value
    if os.path.isabs(value):
        inside_project = project is not None and Path(value).is_relative_to(Path(project).absolute())
        return (
            Path(value).relative_to(Path(project).absolute()).as_posix()
            if inside_project
            else f".../{Path(value).name}"
        )
    return OUTSIDE.sub(".../", value)
