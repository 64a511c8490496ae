"""The built-in synthetic data set: made when an experiment wants it and it is not there, or not whole."""

import time
from pathlib import Path

from wsnb.book import locks
from wsnb.files import FileError, load_json

PLACE = "data/shapes/VOCdevkit"


def is_builtin(project, data_root) -> bool:
    """Whether a data_root means the built-in set of this project."""
    return (Path(project) / Path(data_root).expanduser()).resolve() == (Path(project) / PLACE).resolve()


def is_whole(folder) -> bool:
    """Whether today's drawing lies there, and every picture of its lists with image, masks and boxes."""
    from wsnb.data import make

    voc = Path(folder, "VOC2012")
    record = voc / make.RECORD
    if not record.is_file() or load_json(record) != make.identity():
        return False
    kinds = (
        ("JPEGImages", ".jpg"),
        ("SegmentationClass", ".png"),
        ("SegmentationObject", ".png"),
        ("Annotations", ".xml"),
    )
    have = {place: {path.name for path in (voc / place).glob("*")} for place, _ in kinds}
    for split, count in (("train", make.TRAIN), ("val", make.VAL)):
        listed = voc / "ImageSets/Segmentation" / f"{split}.txt"
        names = listed.read_text(encoding="utf-8").split() if listed.is_file() else []
        if len(names) != count or any(
            f"{name}{ending}" not in have[place] for name in names for place, ending in kinds
        ):
            return False
    return True


def ensure(project, say) -> None:
    """Make the built-in set if it is missing or not whole; a second run at the same time waits for the first.

    Raises FileError if the folder holds something else.
    """
    folder = Path(project) / PLACE
    if is_whole(folder):
        return
    from wsnb.data import make

    with locks.acquire(folder.parent / ".making.lock", f"the synthetic data set in {folder}", wait=900):
        if is_whole(folder):
            return
        say(f"making the synthetic data set in {folder}")
        last = [time.monotonic()]

        def progress(done, total):
            if time.monotonic() - last[0] >= 5 or done == total:
                last[0] = time.monotonic()
                say(f"{done}/{total} pictures")

        try:
            make.shapes(folder, progress=progress)
        except FileError as error:
            raise FileError(f"{error}. The book keeps its own pictures there: move {folder} away") from error
