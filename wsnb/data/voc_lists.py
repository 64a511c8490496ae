"""The lists of PASCAL VOC 2012 and SBD, and the folders that they speak of.

A root is the folder VOCdevkit (with VOC2012/ in it), the folder that holds VOCdevkit, or the original programs' data
folder (with voc/VOCdevkit, sbd/benchmark_RELEASE and voc_test/VOCdevkit).
"""

from dataclasses import dataclass
from pathlib import Path

from wsnb.files import FileError, read_text

CLASSES = ("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
           "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor")


@dataclass(frozen=True)
class Places:
    """The folders below a root: VOC2012, the test pictures' VOC2012, SBD's dataset folder."""

    voc: Path
    test: Path | None
    sbd: Path | None


def places(root) -> Places:
    """Find the folders below (SBD and the test set also beside) ROOT. Raises FileError if there is no VOC2012."""
    root = Path(root).expanduser()
    voc = _first(root / "VOC2012", root / "VOCdevkit/VOC2012", root / "voc/VOCdevkit/VOC2012")
    if voc is None:
        raise FileError(f"{root}: no folder VOC2012 in it; give the folder VOCdevkit, or make one: "
                        "`wsnb data fetch voc12`, `wsnb data make shapes`")
    devkit = voc.parent
    around = (devkit, devkit.parent, devkit.parent / "sbd", devkit.parent.parent / "sbd")
    beside = (devkit.parent, devkit.parent.parent)
    return Places(voc, _first(*(folder / "voc_test/VOCdevkit/VOC2012" for folder in beside)),
                  _first(*(folder / "benchmark_RELEASE/dataset" for folder in around)))


def read_list(path) -> list[str]:
    """Lines of a list file without blank ones. Raises FileError if it is missing, empty or not text."""
    lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    if not lines:
        raise FileError(f"{path}: an empty list; fetch the data set's ImageSets again")
    return lines


def is_file(split: str) -> bool:
    """Tell whether SPLIT is the path of a list file and not the name of a split."""
    return "/" in split or split.endswith(".txt")


def split_lines(root, split: str) -> list[str]:
    """The raw lines of SPLIT, as `items` takes them; duplicates are still there."""
    at = places(root)
    if is_file(split):
        return read_list(split)
    lists = [folder / "ImageSets/Segmentation" for folder in (at.voc, at.test) if folder is not None]
    path = _first(*(folder / f"{split}.txt" for folder in lists))
    if split == "trainaug" and at.sbd is not None:
        train, val = (read_list(lists[0] / f"{name}.txt") for name in ("train", "val"))
        extra = read_list(at.sbd / "train.txt") + read_list(at.sbd / "val.txt")
        return sorted({*train, *extra} - set(val))
    if path is None and split == "trainaug":
        raise FileError(f"{root}: split trainaug needs SBD; put benchmark_RELEASE into it: `wsnb data fetch voc12`")
    if path is None:
        known = sorted({file.stem for folder in lists for file in folder.glob("*.txt")})
        raise FileError(f"{lists[0] / split}.txt: no such list; there are {', '.join(known) or 'none'}, or give a file")
    return read_list(path)


def resolve(at: Places, field: str, split: str) -> Path:
    """A path of the original's lists -> where that lies here."""
    roots = {"voc_test/VOCdevkit/VOC2012/": at.test or at.voc, "voc/VOCdevkit/VOC2012/": at.voc,
             "VOCdevkit/VOC2012/": at.voc, "VOC2012/": at.voc,
             "sbd/benchmark_RELEASE/dataset/": at.sbd, "benchmark_RELEASE/dataset/": at.sbd}
    field = field.lstrip("/")  # some lists write /JPEGImages/ID.jpg for VOC2012/JPEGImages/ID.jpg
    if ".." in Path(field).parts:
        raise FileError(f"list {split}: {field!r} leaves the data folder; use paths below it")
    prefix = next((prefix for prefix in roots if field.startswith(prefix)), "")
    folder = roots.get(prefix, at.voc)
    if folder is None:
        raise FileError(f"list {split}: {field} needs SBD; put benchmark_RELEASE into {at.voc.parent}")
    return folder / field[len(prefix):]


def _first(*paths: Path) -> Path | None:
    return next((path for path in paths if path.exists()), None)
