"""The weak annotation of a picture: its objects as boxes, the tags of its crops."""

import numpy as np

from wsnb.data import cityscapes, own_known, read
from wsnb.files import FileError, load_npz
from wsnb.papers.panoptic import boxes, crops
from wsnb.papers.panoptic.space import IGNORE


def objects_of(layout, item, space, groups=True) -> boxes.Objects:
    """Objects of a picture in the order of the released files: stuff, groups, instances.

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
    """The instance mask of a picture, integers [H, W], 0 where a pixel belongs to none or nobody said to which.

    VOC marks the latter as void, 255 in 8 bits; in a mask whose classes are known there it would pass for an instance.
    """
    numbers = read.instances(layout, item)
    return np.where(numbers == IGNORE, 0, numbers) if layout == "voc" and numbers.dtype == np.uint8 else numbers


def tags_of(layout, item, space, crop):
    """(windows int64 [N, 4], tags bool [N, C]) of a picture from its labels; CROP (h, w), 0: the paper's share.

    Where the mask is not whole (`wsnb data new`), also from the boxes that a window meets, and from the picture's tags
    of stuff: all its windows get those.
    """
    labels = read.mask(layout, item, len(space))
    places = crops.windows(labels.shape, crops.crop_size(labels.shape, crop))
    tags = crops.window_tags(labels, places, len(space))
    if not own_known.whole(item):
        tags[:, [label for label in space.stuff if label in (item.tags or ())]] = True
        for (x0, y0, x1, y1), label in zip(*read.boxes(layout, item, space.names)[:2], strict=True):
            meets = (places[:, 0] < y1) & (y0 < places[:, 2]) & (places[:, 1] < x1) & (x0 < places[:, 3])
            tags[meets, label] = True
    return places, tags


def need_boxes(layout, items, boxes_dir="") -> None:
    """Raise FileError if pictures have no boxes and none are given in BOXES_DIR: told before the long stages."""
    missing = [] if layout == "cityscapes" or boxes_dir else [item.id for item in items if item.boxes is None]
    if missing:
        raise FileError(f"{len(missing)} of {len(items)} pictures have no boxes file (the first is {missing[0]}); give "
                        "boxes of every picture, or a folder of them with boxes_dir")


def saved_tags(folder, name):
    """The same as 01 wrote it. Raises FileError."""
    kept = load_npz(folder / f"{name}.npz")
    return kept["windows"], np.asarray(kept["tags"], bool)
