"""The project root, and the names that may become paths below it."""

import os
import re
from pathlib import Path

from wsnb.files import FileError, inside

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
SEED = re.compile(r"(.+)@seed(0|[1-9][0-9]{0,8})")
STAGE = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.\-]*?)(?:@([1-9][0-9]{0,3}))?")


class BadName(ValueError):
    """A name that may not become part of a path."""


def find(start=None) -> Path:
    """The project root: $WSNB_ROOT, else the first folder with notebooks/ and params/ from START (default:
    the current folder) upwards, else from this package upwards. Raises FileError naming the remedy.
    """
    named = os.environ.get("WSNB_ROOT")
    if named:
        if not (Path(named) / "notebooks").is_dir():
            raise FileError(
                f"WSNB_ROOT={named}: holds no notebooks/; set it to the project's folder or unset it"
            )
        return Path(named).resolve()
    for origin in (Path(start or "."), Path(__file__)):
        for folder in (origin.resolve(), *origin.resolve().parents):
            if (folder / "notebooks").is_dir() and (folder / "params").is_dir():
                return folder
    raise FileError("no project with notebooks/ and params/ here or above; change into it or set WSNB_ROOT")


def check_name(kind: str, text: str) -> str:
    """TEXT if it can be one part of a path: letters, digits, _ . - only. Raises BadName."""
    if not isinstance(text, str) or not NAME.fullmatch(text) or len(text) > 100:
        raise BadName(
            f"{kind} {text!r}: use letters, digits, '_', '-' and '.' only (at most 100, not starting with '.')"
        )
    return text


def split_seed(experiment: str) -> tuple[str, int | None]:
    """'tiny@seed3' -> ('tiny', 3): the experiment with another seed; 'tiny' -> ('tiny', None)."""
    match = SEED.fullmatch(experiment)
    return (match[1], int(match[2])) if match else (experiment, None)


def seeds(text: str) -> list:
    """'0-2,7' -> [0, 1, 2, 7]. Raises BadName."""
    found = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part.strip())
        if match is None or int(match[2] or match[1]) - int(match[1]) not in range(1000):
            raise BadName(f"--seeds {text}: {part!r} is no seed and no range of at most 1000; write 0-4 or 0,3")
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
    return list(dict.fromkeys(found))


def check_experiment(text: str) -> str:
    """Return TEXT if it is an experiment's name, with or without @seedN. Raises BadName."""
    check_name("experiment", split_seed(text)[0] if isinstance(text, str) else text)
    return text


def split_experiment(text: str) -> tuple[str, str]:
    """'paper/name' -> (paper, name). Raises BadName."""
    paper, slash, name = str(text).partition("/")
    if not slash:
        raise BadName(f"experiment {text!r}: write it as PAPER/NAME; `wsnb list` names them")
    return check_name("paper", paper), check_experiment(name)


def split_stage(text: str) -> tuple[str, int]:
    """'02_train' -> ('02_train', 1), '02_train@2' -> ('02_train', 2). Raises BadName."""
    match = STAGE.fullmatch(text) if isinstance(text, str) else None
    if match is None or len(text) > 100:
        raise BadName(
            f"stage {text!r}: expected a notebook's name such as 02_train, or 02_train@2 for its second round"
        )
    return match[1], int(match[2] or 1)


def stage_folder_name(notebook: str, round_: int) -> str:
    """Folder of a stage: '02_train', or '02_train@2' for a later round."""
    return notebook if round_ == 1 else f"{notebook}@{round_}"


def shown(path) -> Path:
    """PATH as one would type it: relative to the current folder if it lies there."""
    path = Path(path)
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def run_folder(runs, paper: str, experiment: str) -> Path:
    """RUNS/PAPER/EXPERIMENT with links resolved. Raises FileError if links lead it out of RUNS."""
    try:
        return inside(runs, f"{check_name('paper', paper)}/{check_experiment(experiment)}")
    except FileError as error:
        raise FileError(
            f"{error}; to keep runs elsewhere, link the whole runs folder or pass --runs DIR"
        ) from error
