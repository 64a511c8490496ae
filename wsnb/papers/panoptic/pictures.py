"""The training pictures of a chain, which of them have whole masks, which are shown, and files of a folder whatever
their naming."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsnb.data import own_known, read
from wsnb.files import FileError, read_index
from wsnb.papers.panoptic import annotation
from wsnb.papers.panoptic import space as spaces

SOURCES = ("weak", "share", "full")


@dataclass(frozen=True)
class Pictures:
    """space of the labels; train, extra (weak pictures with coarse boxes and tags) and val pictures."""

    space: spaces.Space
    train: tuple
    extra: tuple
    val: tuple

    @property
    def all(self) -> list:
        """Pictures to train on: train, then extra."""
        return [*self.train, *self.extra]

    @property
    def extra_ids(self) -> frozenset:
        """Ids of the extra pictures."""
        return frozenset(item.id for item in self.extra)


def of(p, root) -> Pictures:
    """The pictures of a stage's parameters `layout`, `train_split`, `extra_split` ("" none), `val_split`, `limit`
    (train and extra, 0: all), `val_limit`; parameters that a stage does not declare count as empty. Raises FileError
    naming the parameter."""
    def some(name, limit):
        split = getattr(p, name, "")
        try:
            return tuple(read.items(p.layout, root, split, getattr(p, limit, 0))) if split else ()
        except FileError as error:
            raise FileError(f"{name} {split!r}: {error}") from error

    space = spaces.at(p.layout, root)
    return Pictures(space, some("train_split", "limit"), some("extra_split", "limit"), some("val_split", "val_limit"))


def followed(pictures: Pictures, count=1, among=12) -> list:
    """The COUNT training pictures that the stages show, so that a reader can follow them: of the first AMONG those with
    the most annotated single things first, and before them those whose true instances are known."""
    def things(item):
        if pictures.space.layout != "cityscapes" and item.boxes is None:  # they come from boxes_dir
            return 0
        found = annotation.objects_of(pictures.space.layout, item, pictures.space)
        return int((~found.stuff & ~found.groups).sum())

    # sorting is stable: among equals the list's order
    return sorted(pictures.train[:among], key=lambda item: (item.instances is None, -things(item)))[:count]


def with_masks(pictures: Pictures, source: str, share: float, seed: int) -> frozenset:
    """Ids of the training pictures whose whole mask is used: none ("weak"), all of train ("full", where the extra
    pictures are left out too), or a SHARE of train, drawn by SEED ("share"). A larger share holds the smaller.

    Raises ValueError for an unknown SOURCE or SHARE, FileError for masks that are not whole."""
    if source not in SOURCES:
        raise ValueError(f"label_source {source!r}: choose one of {', '.join(SOURCES)}")
    if not 0 <= share <= 1:
        raise ValueError(f"full_share {share}: use 0 to 1")
    order = np.random.default_rng(seed).permutation(len(pictures.train))
    count = {"weak": 0, "full": len(order), "share": round(share * len(order))}[source]
    chosen = [pictures.train[k] for k in order[:count]]
    own_known.need_whole(chosen, f"label_source {source!r}", "take label_source 'weak'")
    return frozenset(item.id for item in chosen)


@dataclass(frozen=True)
class LabelOf:
    """label_of(item) -> uint8 [H, W]: the true mask of pictures in FULL, else the label map FOLDER/ID.png."""

    layout: str
    n_classes: int
    folder: Path | None
    full: frozenset

    def __call__(self, item):
        if item.id in self.full:
            return read.mask(self.layout, item, self.n_classes)
        return read_index(self.folder / f"{item.id}.png")


def need_files(items, suffix, **folders) -> None:
    """Raise FileError if one of the pictures has no file NAME + SUFFIX in one of FOLDERS {parameter: folder, "": none}:
    told before the long stages."""
    for parameter, folder in folders.items():
        for item in items if folder else ():
            try:
                file_of(folder, item.id, suffix)
            except FileError as error:
                raise FileError(f"{parameter}: {error}") from error


def file_of(folder, name, suffix) -> Path:
    """FOLDER/NAME + SUFFIX, or as the authors call their files, NAME_leftImg8bit + SUFFIX. Raises FileError."""
    for stem in (name, f"{name}_leftImg8bit"):
        path = Path(folder) / f"{stem}{suffix}"
        if path.exists():
            return path
    raise FileError(f"{Path(folder) / (name + suffix)}: missing, and {name}_leftImg8bit{suffix} too; complete the "
                    "folder, or leave its parameter empty to compute the files")
