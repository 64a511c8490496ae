"""What the makers of synthetic sets share: a record of what a folder holds, pictures and lists written whole."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from wsnb.files import FileError, load_json, save_json, write


def claim(record: Path, what: dict, folder: Path) -> None:
    """Write down in RECORD that FOLDER holds WHAT. Raises FileError if it holds something else."""
    if record.exists():
        held = load_json(record)
        if held != what:
            raise FileError(f"{record}: the folder holds {held}, asked for {what}; choose another root")
        return
    if folder.exists() and any(folder.iterdir()):
        raise FileError(f"{folder}: holds files that are not of the set {what['set']}; choose another root")
    save_json(record, what)


def missing(root: Path, expected: dict) -> str | None:
    """The first of the EXPECTED files that is not below ROOT, or whose text is another; None if all are there."""
    root, have = Path(root), {}
    for name, content in expected.items():
        path = root / name
        if path.parent not in have:
            have[path.parent] = {p.name for p in path.parent.iterdir()} if path.parent.is_dir() else set()
        if path.name not in have[path.parent]:
            return name
        if content is not None and path.read_text(encoding="utf-8") != content:
            return name
    return None


def jpeg(path: Path, image) -> None:
    """Write uint8 [H, W, 3] as JPEG of quality 92."""
    picture = io.BytesIO()
    Image.fromarray(image).save(picture, "JPEG", quality=92)
    with write(path) as file:
        file.write(picture.getvalue())


def grey(path: Path, array) -> None:
    """Write uint8 or uint16 [H, W] as a grey PNG of 8 or 16 bits."""
    array = np.asarray(array)
    if array.dtype not in (np.uint8, np.uint16) or array.ndim != 2:
        raise FileError(f"{path}: expected uint8 or uint16 [H, W], got {array.dtype} {array.shape}")
    picture = io.BytesIO()
    Image.fromarray(array).save(picture, "PNG")
    with write(path) as file:
        file.write(picture.getvalue())


def text(path: Path, lines) -> None:
    """Write LINES, each with its end of line."""
    with write(path, "w") as file:
        file.writelines(f"{line}\n" for line in lines)


def each(jobs, progress=None) -> None:
    """Call every one of JOBS, functions without arguments; PROGRESS(done, total) after each."""
    for done, job in enumerate(jobs, 1):
        job()
        if progress is not None:
            progress(done, len(jobs))
