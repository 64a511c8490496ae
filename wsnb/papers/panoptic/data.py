"""The training pictures, their weak annotation, and the crops that carry the tags.

Stuff classes are annotated by tags of fixed crops (15 of 400 x 500 in 1024 x 2048, overlapping just as much as they
must to end at the picture's borders), thing classes by boxes.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from wsnb.data import cityscapes, read, transforms
from wsnb.data.own import dataset
from wsnb.files import FileError, load_npz, read_index
from wsnb.papers.panoptic import boxes, label_space
from wsnb.papers.panoptic.label_space import IGNORE


@dataclass(frozen=True)
class Pictures:
    """The label space, and the pictures of train, extra (always weak, with coarse boxes and tags) and val."""

    space: label_space.Space
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
    """List the pictures of a stage's parameters P below ROOT.

    Parameters: `layout`, `train_split`, `extra_split` ("": none), `val_split`, `limit` (of train and extra, 0: all),
    `val_limit`; those that a stage does not declare count as empty. Raises FileError naming the parameter.
    """
    def some(name, limit):
        split = getattr(p, name, "")
        try:
            return tuple(read.items(p.layout, root, split, getattr(p, limit, 0))) if split else ()
        except FileError as error:
            raise FileError(f"{name} {split!r}: {error}") from error

    space = label_space.at(p.layout, root)
    return Pictures(space, some("train_split", "limit"), some("extra_split", "limit"), some("val_split", "val_limit"))


def followed(pictures: Pictures, count=1, among=12) -> list:
    """Choose the COUNT training pictures that all stages show, for a reader to follow.

    Of the first AMONG: those whose true instances are known, then those with most annotated single instances.
    """
    def instances(item):
        if pictures.space.layout != "cityscapes" and item.boxes is None:  # they come from boxes_dir
            return 0
        found = objects_of(pictures.space.layout, item, pictures.space)
        return int((~found.stuff & ~found.groups).sum())

    # sorting is stable: among equals the list's order
    return sorted(pictures.train[:among], key=lambda item: (item.instances is None, -instances(item)))[:count]


# crops and their tags


def starts(side: int, crop: int) -> list[int]:
    """Place crops along one side: the first pixels of ceil(side / crop) of them, their overlap rounded up.

    One crop as long as the side starts at 0 (the original divides by zero there). With sides that the overlap does
    not divide, the last pixels stay uncovered, as in the original. Raises ValueError where a crop does not fit.
    """
    if not 0 < crop <= side:
        raise ValueError(f"crop of {crop} pixels on a side of {side}; use 1 to {side}")
    count = -(-side // crop)
    if count == 1:
        return [0]
    overlap = -(-(count * crop - side) // (count - 1))
    found = [k * (crop - overlap) for k in range(count)]
    if overlap >= crop or found[-1] + crop > side:
        raise ValueError(f"crops of {crop} pixels cannot tile a side of {side}; choose another size")
    return found


def windows(shape, crop) -> np.ndarray:
    """Place crops over a picture: int64 [N, 4] (y0, x0, y1, x1), half-open, column after column as the released ones.

    shape, crop: (height, width).
    """
    ys, xs = (starts(side, size) for side, size in zip(shape, crop, strict=True))
    return np.array([(y, x, y + crop[0], x + crop[1]) for x in xs for y in ys], np.int64).reshape(-1, 4)


def window_tags(labels, places, n_classes: int) -> np.ndarray:
    """Tag the windows PLACES [N, 4] of labels uint8 [H, W]: bool [N, n_classes]. One pixel is enough, 255 is no class.

    Raises ValueError for a label above the classes.
    """
    tags = np.zeros((len(places), n_classes), bool)
    for k, (y0, x0, y1, x1) in enumerate(places):
        present = np.bincount(labels[y0:y1, x0:x1].ravel(), minlength=256) > 0
        if present[n_classes:IGNORE].any():
            wrong = int(np.flatnonzero(present[n_classes:IGNORE])[0]) + n_classes
            raise ValueError(f"label {wrong} among {n_classes} classes: read train ids, or remap the labels")
        tags[k] = present[:n_classes]
    return tags


def crop_size(shape, crop) -> tuple[int, int]:
    """Fill in zeros of a crop (h, w) with the paper's share of the picture: 400 / 1024 of its height, 500 / 2048 of its
    width."""
    share = (400 / 1024, 500 / 2048)
    return tuple(given or max(1, round(side * part)) for given, side, part in zip(crop, shape, share, strict=True))


def tags_of(layout, item, space, crop):
    """Tag the crops of a picture by its labels: (windows int64 [N, 4], tags bool [N, C]). CROP: see `crop_size`.

    Where the mask is not whole (`wsnb data new`), also from the boxes that a window meets, and from the picture's tags
    of stuff: all its windows get those.
    """
    labels = read.mask(layout, item, len(space))
    places = windows(labels.shape, crop_size(labels.shape, crop))
    tags = window_tags(labels, places, len(space))
    if not dataset.whole(item):
        tags[:, [label for label in space.stuff if label in (item.tags or ())]] = True
        for (x0, y0, x1, y1), label in zip(*read.boxes(layout, item, space.names)[:2], strict=True):
            meets = (places[:, 0] < y1) & (y0 < places[:, 2]) & (places[:, 1] < x1) & (x0 < places[:, 3])
            tags[meets, label] = True
    return places, tags


def saved_tags(folder, name):
    """Read (windows, tags) of the picture NAME as 01 wrote them. Raises FileError."""
    kept = load_npz(folder / f"{name}.npz")
    return kept["windows"], np.asarray(kept["tags"], bool)


# boxes and instances


def objects_of(layout, item, space, groups=True) -> boxes.Objects:
    """List the objects of a picture in the order of the released files: stuff, groups, instances.

    Cityscapes: from its instance ids. Other layouts: their annotated boxes as instances (no groups, difficult ones are
    left out), and as stuff the background and those of the picture's tags that are stuff.
    """
    if layout == "cityscapes":
        return boxes.from_instance_ids(cityscapes.read_instance_train_ids(item), space, groups=groups)
    height, width = read.image(item).shape[:2]
    found, labels, difficult = read.boxes(layout, item, space.names)
    rows = [(label, 0, 0, width, height, 0, 1) for label in space.stuff
            if label == space.background or label in (item.tags or ())]
    rows += [(int(label), *box, 0, 0) for box, label in zip(found[~difficult].tolist(), labels[~difficult],
                                                            strict=True)]
    return boxes.objects(rows)


def instances_of(layout, item):
    """Read the instance mask of a picture: integers [H, W], 0 where a pixel belongs to none or to an unknown one.

    VOC marks the unknown as void, 255 in 8 bits; in a mask whose classes are known there it would pass for an instance.
    """
    numbers = read.instances(layout, item)
    return np.where(numbers == IGNORE, 0, numbers) if layout == "voc" and numbers.dtype == np.uint8 else numbers


# samples of the classifier, labels of the segmenter


def crop_input(image, place, size):
    """Cut the window PLACE (y0, x0, y1, x1) out of an RGB picture and normalise it at SIZE: float32 [3, h, w]."""
    y0, x0, y1, x1 = place
    crop = cv2.resize(np.ascontiguousarray(image[y0:y1, x0:x1]), tuple(size)[::-1], interpolation=cv2.INTER_LINEAR)
    return transforms.normalise(transforms.to_unit(crop))


class TaggedCrops(torch.utils.data.Dataset):
    """The classifier's samples, the crops of all pictures: {"x": [3, h, w], "tags": float32 [C], "id": str}.

    items: pictures; places: {id: windows [N, 4]}; tags: {id: bool [N, C]}. Crops without a tag teach nothing and are
    left out. Each is resized to SIZE (h, w). In training (AUGMENT) a crop is mirrored half the time and its contrast
    and brightness are jittered; a sample is a function of (seed, epoch, k).
    """

    def __init__(self, items, places, tags, size, seed=0, epoch=0, augment=True):
        self.items, self.places, self.tags, self.size = items, places, tags, size
        self.seed, self.epoch, self.augment = seed, epoch, augment
        self.index = [(i, k) for i, item in enumerate(items) for k in np.flatnonzero(tags[item.id].any(axis=1))]
        self._last = (None, None)

    def __len__(self):
        return len(self.index)

    def __getitem__(self, number):
        i, k = self.index[number]
        item = self.items[i]
        if self._last[0] != i:
            self._last = (i, read.image(item))
        x = crop_input(self._last[1], self.places[item.id][k], self.size)
        if self.augment:
            rng = transforms.sample_generator(self.seed, self.epoch, number)
            x = x.flip(-1) if rng.random() < 0.5 else x
            x = x * float(rng.uniform(0.8, 1.2)) + float(rng.uniform(-0.2, 0.2))
        return {"x": x, "tags": torch.from_numpy(self.tags[item.id][k].astype(np.float32)), "id": f"{item.id} crop {k}"}


def with_masks(pictures: Pictures, label_source: str, share: float, seed: int) -> frozenset:
    """Choose the training pictures whose whole mask is used: their ids.

    LABEL_SOURCE: "weak", none; "full", all of train (the extra pictures are left out too); "share", a SHARE of train,
    drawn by SEED. A larger share holds the smaller. Raises ValueError for an unknown source or share, FileError for
    masks that are not whole.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"full_share {share}: use 0 to 1")
    counts = {"weak": 0, "share": round(share * len(pictures.train)), "full": len(pictures.train)}
    if label_source not in counts:
        raise ValueError(f"label_source {label_source!r}: choose one of {', '.join(counts)}")
    order = np.random.default_rng(seed).permutation(len(pictures.train))
    chosen = [pictures.train[k] for k in order[: counts[label_source]]]
    dataset.need_whole(chosen, f"label_source {label_source!r}", "take label_source 'weak'")
    return frozenset(item.id for item in chosen)


@dataclass(frozen=True)
class LabelOf:
    """Read the label that a picture is trained on, uint8 [H, W]: of those in FULL the true mask, else FOLDER/ID.png."""

    layout: str
    n_classes: int
    folder: Path | None
    full: frozenset

    def __call__(self, item):
        if item.id in self.full:
            return read.mask(self.layout, item, self.n_classes)
        return read_index(self.folder / f"{item.id}.png")


# files, looked for before the long stages


def need_boxes(layout, items, boxes_dir="") -> None:
    """Raise FileError if pictures have no boxes and none are given in BOXES_DIR."""
    missing = [] if layout == "cityscapes" or boxes_dir else [item.id for item in items if item.boxes is None]
    if missing:
        raise FileError(f"{len(missing)} of {len(items)} pictures have no boxes file (the first is {missing[0]}); give "
                        "boxes of every picture, or a folder of them with boxes_dir")


def need_files(items, suffix, **folders) -> None:
    """Raise FileError if a picture has no file NAME + SUFFIX in one of FOLDERS {parameter: folder; "": none given}."""
    for parameter, folder in folders.items():
        for item in items if folder else ():
            try:
                file_of(folder, item.id, suffix)
            except FileError as error:
                raise FileError(f"{parameter}: {error}") from error


def file_of(folder, name, suffix) -> Path:
    """Find FOLDER/NAME + SUFFIX, or NAME_leftImg8bit + SUFFIX as the authors name their files. Raises FileError."""
    for stem in (name, f"{name}_leftImg8bit"):
        path = Path(folder) / f"{stem}{suffix}"
        if path.exists():
            return path
    raise FileError(f"{Path(folder) / (name + suffix)}: missing, and {name}_leftImg8bit{suffix} too; complete the "
                    "folder, or leave its parameter empty to compute the files")


def boxes_of(folder, names, item) -> boxes.Objects:
    """Read the boxes of a picture in FOLDER, with the classes NAMES. Raises FileError."""
    return boxes.load_boxes(file_of(folder, item.id, ".mat"), names)
