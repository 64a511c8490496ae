"""The weak annotation of a picture: its objects as boxes, the tags of its crops."""

import numpy as np

from wsnb.data import cityscapes, read
from wsnb.files import load_npz
from wsnb.papers.panoptic import boxes, crops


def objects_of(layout, item, space, groups=True) -> boxes.Objects:
    """Objects of a picture in the order of the released files: stuff, groups, instances.

    Cityscapes: from its instance ids. Other layouts: their annotated boxes as instances (no groups, difficult ones are
    left out), and the background as stuff.
    """
    if layout == "cityscapes":
        return boxes.from_instance_ids(cityscapes.read_instance_train_ids(item), space, groups=groups)
    height, width = read.image(item).shape[:2]
    found, labels, difficult = read.boxes(layout, item, space.names)
    rows = [(label, 0, 0, width, height, 0, 1) for label in space.stuff]
    rows += [(int(label), *box, 0, 0) for box, label in zip(found[~difficult].tolist(), labels[~difficult],
                                                            strict=True)]
    return boxes.objects(rows)


def tags_of(layout, item, space, crop):
    """(windows int64 [N, 4], tags bool [N, C]) of a picture from its labels; CROP (h, w), 0: the paper's share."""
    labels = read.mask(layout, item, len(space))
    places = crops.windows(labels.shape, crops.crop_size(labels.shape, crop))
    return places, crops.window_tags(labels, places, len(space))


def saved_tags(folder, name):
    """The same as 01 wrote it. Raises FileError."""
    kept = load_npz(folder / f"{name}.npz")
    return kept["windows"], np.asarray(kept["tags"], bool)
