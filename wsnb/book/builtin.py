"""The built-in synthetic data set: made when an experiment wants it and it is not there, or not whole."""

import time
from pathlib import Path

from wsnb.book import locks

PLACE = "data/shapes/VOCdevkit"


def is_builtin(project, data_root) -> bool:
    """Whether a data_root means the built-in set of this project."""
    return (Path(project) / Path(data_root).expanduser()).resolve() == (Path(project) / PLACE).resolve()


def is_whole(folder) -> bool:
    """Whether the lists are there and every picture that they name has its image and masks."""
    voc = Path(folder, "VOC2012")
    kinds = (
        ("JPEGImages", ".jpg"),
        ("SegmentationClass", ".png"),
        ("SegmentationObject", ".png"),
        ("Annotations", ".xml"),
    )
    have = {place: {path.name for path in (voc / place).glob("*")} for place, _ in kinds}
    for split in ("train", "val"):
        listed = voc / "ImageSets/Segmentation" / f"{split}.txt"
        if not listed.is_file():
            return False
        for name in listed.read_text(encoding="utf-8").split():
            if any(f"{name}{ending}" not in have[place] for place, ending in kinds):
                return False
    return True


def ensure(project, say) -> None:
    """Make the built-in set if it is missing or not whole; a second run at the same time waits for the first."""
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

        make.shapes(folder, progress=progress)
