"""Published results under figures/: the manifests of a finished run in one record, with its small pictures.

The block of results in README.md is made of them; nothing in it is typed.
"""

import functools
import io
import os
import re
import subprocess
from pathlib import Path

from PIL import Image, ImageChops

from wsnb.files import FileError, inside, open_image, save_json, save_text, write
from wsnb.report import captions, frame, headline, match, text
from wsnb.run import experiments, fingerprint, papers, params
from wsnb.run.paths import find, run_folder, split_experiment

PICTURES = (".png", ".jpg", ".jpeg", ".svg")
LARGEST = 2_500_000  # bytes of a picture that may go into git
MOST = 24  # pictures of a stage
SMALL = 200_000  # bytes of a PNG that is left whole
NEAR = 8  # levels of 256 by which a pixel may change in a PNG of few colours; two classes are further apart
QUALITY = 90  # of JPEG
OUTSIDE = re.compile(r"""(?<![\w.:/])(?:/|(?:\.\./)+)(?:[^\s/'"]+/)*(?=[^\s/'"])""")  # a path out of the project
FOLDER = "figures"  # of a stage's run folder


def publish(runs, experiment: str, figures, project=None) -> Path:
    """Copy the finished run RUNS/PAPER/NAME of EXPERIMENT ("paper/name") to FIGURES/PAPER/NAME. Returns that folder.

    It then holds record.json (the command, and the manifests without places of this machine), the pictures, and the
    counts of single pictures. Every file of the run is compared with its record first. Raises FileError if a stage is
    not finished or damaged, naming the command that finishes it, or if a picture is too large.
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
    for record in found:
        frame.need_sound(record.folder, record.manifest, full=True)
    folder = Path(figures, paper, name)
    shown = {}
    for record in found:
        for source, alt in pictures(record, project):
            if source.stat().st_size > LARGEST:
                raise FileError(
                    f"{source}: {source.stat().st_size / 1e6:.1f} MB is too large to publish; draw it "
                    f"smaller (at most {LARGEST / 1e6:.1f} MB) and run {record.stage} again"
                )
            data, suffix = lighter(source.read_bytes(), source.suffix)
            target = f"{record.stage}-{source.stem}{suffix}"
            with write(folder / target) as file:
                file.write(data)
            shown[target] = alt
    for record in found:
        if record.counts.is_file():
            with write(folder / frame.counts_name(record.stage)) as file:
                file.write(record.counts.read_bytes())
    stages = {record.stage: portable(record.manifest, project) for record in found}
    before = [path for path, _ in published_pictures(figures, experiment)]
    save_json(folder / frame.PUBLISHED, {
        "format": frame.FORMAT, "paper": paper, "experiment": name, "pictures": shown, "stages": stages,
        "command": command(project, found)})  # fmt: skip
    for path in before:
        if path.name not in shown:
            _replaced(path, shown, project)
    return folder


def lighter(plain: bytes, suffix: str) -> tuple:
    """(bytes, suffix) of a picture for git, as small as it goes while it looks the same, class colours above all.

    A PNG stays one with its 256 best colours where every pixel keeps to NEAR of its own, or whole where it is SMALL;
    photographs become JPEG.
    """
    if suffix.lower() != ".png":
        return plain, suffix
    with open_image(io.BytesIO(plain)) as image:
        whole = on_white(image)
    few = whole.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    kept = [plain, encoded(whole, "PNG", optimize=True)]
    if max(high for _, high in ImageChops.difference(whole, few.convert("RGB")).getextrema()) <= NEAR:
        kept.append(encoded(few, "PNG", optimize=True))
    best = min(kept, key=len)
    if len(best) <= SMALL:
        return best, suffix
    photo = encoded(whole, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    return (photo, ".jpg") if len(photo) < 0.6 * len(best) else (best, suffix)  # a chart stays sharp


def on_white(image):
    """A picture in RGB, white where it is clear."""
    clear = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")


def encoded(image, kind, **options) -> bytes:
    """A picture as the bytes of a file of that KIND."""
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


def published_pictures(figures, title: str) -> list:
    """(path, text instead of the picture) of a published experiment."""
    path = Path(figures, *title.split("/"), frame.PUBLISHED)
    found = frame.read_published(path)["pictures"] if path.exists() else {}
    return [(path.parent / name, alt) for name, alt in sorted(found.items())]


def published_command(figures, title: str) -> str:
    """The command that made a published experiment, or ""."""
    path = Path(figures, *title.split("/"), frame.PUBLISHED)
    return frame.read_published(path)["command"] if path.exists() else ""


def pictures(record, project) -> list:
    """(path, caption) that a stage shows to the world: those that its notes name under "figures" ({file: caption}),
    those in its folder figures/, and those at the top of its run folder. The caption of the notebook's cell goes first.
    """
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
    notebook = Path(project, "notebooks", record.paper, f"{record.stage.split('@')[0]}.ipynb")
    written = captions.of_files(notebook, record.manifest)
    alts = {(record.folder / name).resolve(): alt for name, alt in named.items()}
    return [(path, written.get(path.stem) or alts.get(real) or _spoken(path.stem)) for real, path in found.items()]


def _spoken(stem):
    return re.sub(r"[_\-]+", " ", stem).strip().capitalize()


def command(project, found) -> str:
    """The command that makes these records, with the parameters that differ from the experiment's. One that its stages
    no longer have is left out: they would refuse it."""
    paper, name = found[0].paper, found[0].experiment
    path = Path(project, "params", paper, f"{name}.yaml")
    if not path.is_file():
        return f"run as a notebook: no params/{paper}/{name}.yaml"
    written = experiments.load(project, paper, name).values
    used = {key: value for record in found for key, value in record.manifest["params"].items() if key != "round"}
    said = [f"wsnb run {paper}/{name}"]
    data, asked = (Path(project, values.get("data_root", "")).resolve() for values in (used, written))
    if data != asked:
        said.append("--data-root DIR")
    for key, value in sorted(used.items()):
        if key not in params.MACHINE and key in written and value != written[key]:
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
        if project is not None and Path(value).is_relative_to(Path(project).absolute()):
            return Path(value).relative_to(Path(project).absolute()).as_posix()
        return f".../{Path(value).name}"
    return OUTSIDE.sub(".../", value)


@functools.cache
def repository(project) -> str:
    """Address of the project on GitHub by its git remote `origin`; "" where there is none."""
    command = ["git", "-C", str(project), "config", "--get", "remote.origin.url"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    found = re.fullmatch(r"(?:https://|git@)github\.com[/:]([\w.-]+/[\w.-]+?)(?:\.git)?/?", done.stdout.strip())
    return f"https://github.com/{found[1]}" if found else ""


def references() -> str:
    """All papers of the book as BibTeX, in the order of the chapters."""
    return "\n".join(f"{paper.bibtex.strip()}\n" for paper in papers.load().values() if paper.bibtex)


BEGIN, END = "<!-- results: written by `wsnb report`, do not edit -->", "<!-- end of results -->"


def block(records) -> str:
    """Markdown: of each paper and supervision a reported number and ours, for published RECORDS."""
    compared, _ = match.compare(frame.results(records), None if records else ())
    small = headline.frame(compared)
    if small.empty:
        return "No number of ours stands beside a reported one yet."
    small["ours on"] = [f"`{row.paper}/{row.our_experiment}`, {row.our_dataset_size} pictures"
                   for row in headline.lines(compared).itertuples()]
    return "\n".join([text.table(small.map(text.Markdown)), f"{headline.KEPT} {headline.sentence(compared)}".strip()])


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
