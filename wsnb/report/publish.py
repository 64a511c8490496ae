"""Published results: the manifests of a finished run in one record, with its small pictures, under figures/.

The block of results in README.md, made from the published records; nothing in it is typed by hand.
"""

import io
import os
import re
from pathlib import Path

from PIL import Image, ImageChops

from wsnb.files import FileError, inside, load_json, open_image, save_json, save_text, write
from wsnb.report import frame
from wsnb.run import experiments, fingerprint, params
from wsnb.run.paths import find, run_folder, split_experiment

NAME = "record.json"
FORMAT = 1
PICTURES = (".png", ".jpg", ".jpeg", ".svg")
LARGEST = 2_500_000  # bytes of a picture that may go into git
MOST = 24  # pictures of a stage
SMALL = 200_000  # bytes of a PNG that is left whole
NEAR = 8  # levels of 256 by which a pixel may change in a PNG of few colours; two classes are further apart
QUALITY = 90  # of JPEG
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
    found = [record for record in frame.records(runs) if record.title == experiment]
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
            if source.stat().st_size > LARGEST:
                raise FileError(
                    f"{source}: {source.stat().st_size / 1e6:.1f} MB is too large to publish; draw it "
                    f"smaller (at most {LARGEST / 1e6:.1f} MB) and run {record.stage} again"
                )
            data, suffix = lighter(source)
            target = f"{record.stage}-{source.stem}{suffix}"
            with write(folder / target) as file:
                file.write(data)
            shown[target] = alt
    stages = {record.stage: portable(record.manifest, project) for record in found}
    former = [path for path, _ in published_pictures(figures, experiment)]
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
    for path in former:
        if path.name not in shown:
            _replaced(path, shown, project)
    return folder


def lighter(picture) -> tuple:
    """(bytes, suffix) of a picture for git, as small as it goes while it looks the same, class colours above all.

    A PNG stays one with its 256 best colours where every pixel keeps to NEAR of its own, or whole where it is SMALL;
    photographs become JPEG.
    """
    plain, suffix = Path(picture).read_bytes(), Path(picture).suffix
    if suffix.lower() != ".png":
        return plain, suffix
    with open_image(picture) as image:
        clear = image.convert("RGBA")
        whole = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
    few = whole.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    kept = [plain, _encoded(whole, "PNG", optimize=True)]
    if max(high for _, high in ImageChops.difference(whole, few.convert("RGB")).getextrema()) <= NEAR:
        kept.append(_encoded(few, "PNG", optimize=True))
    best = min(kept, key=len)
    if len(best) <= SMALL:
        return best, suffix
    photo = _encoded(whole, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    return (photo, ".jpg") if len(photo) < 0.6 * len(best) else (best, suffix)  # a chart stays sharp


def _encoded(image, kind, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _replaced(path, shown, project):
    """Remove a published picture that is no longer shown; the README shows the one that now has its name."""
    new = next((name for name in shown if Path(name).stem == path.stem), None)
    page = Path(project, "README.md")
    if new and page.is_file():
        text = page.read_text(encoding="utf-8")
        place = Path(*path.parts[-4:]).as_posix()  # figures/PAPER/EXPERIMENT/NAME
        if place in text:
            save_text(page, text.replace(place, f"{place.rsplit('/', 1)[0]}/{new}"))
    path.unlink(missing_ok=True)


def _missing(project, runs, paper, name, done) -> list:
    """Stages of an experiment that are begun or listed in its YAML, but not DONE."""
    begun = [stage for *title, stage in frame.unfinished(runs) if title == [paper, name]]
    path = Path(project, "params", paper, f"{name}.yaml")
    listed = experiments.stage_names(params.load_yaml(path), path) if path.is_file() else []
    return sorted({*begun, *listed} - done)


def published(figures) -> list:
    """Records of all published experiments below FIGURES. Raises FileError naming a damaged one and the mend."""
    found = []
    for path in sorted(Path(figures).glob(f"*/*/{NAME}")):
        record = _read(path)
        for stage, of in sorted(record["stages"].items()):
            found.append(frame.Record(*path.parts[-3:-1], stage, frame.checked(of, f"{path}, {stage}")))
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
            made["files"] = {"count": len(files), "bytes": size, "sha256": fingerprint.digest(files)}
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


BEGIN, END = "<!-- results: written by `wsnb report`, do not edit -->", "<!-- end of results -->"
METRICS = ("mIoU", "PQ (all)", "mAP^r@0.5")  # of the many that the records hold


def block(records) -> str:
    """Markdown: a row a chain's final number or bound, then what each experiment took, for published RECORDS."""
    lines = ["| experiment | pictures | supervision | method, backbone | tags at test | CRF | metric | % |",
             "|---|---|---|---|---|---|---|---|"]
    said = set()
    for row in frame.rows(records):
        if row.name not in METRICS or row.role not in ("final", "bound") or row.protocol is None or row.value is None:
            continue
        of = row.protocol
        tags = {"predicted": "predicted", "ground truth": "given (*clean*)", "none": "–"}[of.image_labels]
        bound = of.method == "all background"  # the same for all experiments on the same pictures
        preset = of.preset if of.preset == "fixed" else ""
        method = of.method if bound else ", ".join(filter(None, (row.step or of.method, of.backbone, preset)))
        what = [f"{of.dataset} {of.split}, {of.dataset_size}", of.supervision or "?", method, tags]
        line = " | ".join([*what, "yes" if of.crf else "no", row.name, f"{row.value:.1f}"])
        if bound and line in said:
            continue
        said.add(line)
        lines.append(f"| {'' if bound else f'`{row.paper}/{row.experiment}`'} | {line} |")
    return "\n".join([*lines, "", *_times(records)])


def _times(records):
    for title in dict.fromkeys(record.title for record in records):
        own = [record for record in records if record.title == title]
        times = ", ".join(f"{r.stage} {r.manifest['seconds'] / 60:.0f} min" for r in own)
        env = own[0].manifest["environment"]
        machine = env["gpu"] or f"{env['cpu_count']} CPU cores"
        commits = list(dict.fromkeys(r.manifest["environment"]["git_commit"][:7] for r in own))
        code = f"commit{'s' * (len(commits) > 1)} {', '.join(commits)}"
        yield f"- `{title}` on {machine}, torch {env['torch']}, {code}: {times}."


def update(path, records) -> bool:
    """Write the block into the file PATH between its two markers; says whether it changed.

    A file without markers is left alone. Raises FileError if only one of them is there.
    """
    path = Path(path)
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if (BEGIN in text) != (END in text):
        raise FileError(f"{path}: has one of the two markers {BEGIN!r} and {END!r}; put both or none")
    if BEGIN not in text:
        return False
    new = text[: text.index(BEGIN)] + f"{BEGIN}\n\n{block(records)}\n\n" + text[text.index(END) :]
    if new != text:
        save_text(path, new)
    return new != text
