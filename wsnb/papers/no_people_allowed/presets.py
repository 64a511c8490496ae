"""Several presets of one experiment side by side: parameters that differ are lists, an entry a preset."""

from functools import cache
from types import SimpleNamespace

import cv2
import numpy as np

from wsnb import files
from wsnb.data import read
from wsnb.models.irnet import quarter_of


def recipes(params, *fields) -> dict:
    """{preset: SimpleNamespace of its FIELDS} of a stage's parameters. A list of one entry serves for all presets.

    Raises ValueError for a list of another length.
    """
    names = params.presets
    if not names or len(set(names)) < len(names):
        raise ValueError(f"presets {names}: name each preset once, and one at least")
    table = {}
    for field in fields:
        values = getattr(params, field)
        if len(values) not in (1, len(names)):
            raise ValueError(f"{field} {values}: give one value, or one for each of the presets {names}")
        table[field] = values * len(names) if len(values) == 1 else values
    return {name: SimpleNamespace(name=name, **{field: table[field][k] for field in fields})
            for k, name in enumerate(names)}


def tags_of(layout, n_classes, tags_file=""):
    """A function item -> image tags float32 [n_classes - 1], remembered.

    tags_file: IRN's `cls_labels.npy` (a dictionary of vectors by the picture's number without underscore) instead of
    the layout's own tags. Raises FileError for a file without the picture.
    """
    table = files.load_legacy_array(tags_file) if tags_file else None
    if isinstance(table, np.ndarray):
        table = table.item() if table.ndim == 0 else None
    if tags_file and not isinstance(table, dict):
        raise files.FileError(f"{tags_file}: holds no dictionary of tags; give IRN's cls_labels.npy")

    @cache
    def tags(item):
        if table is None:
            return read.tags(layout, item, n_classes)
        number = int(digits) if (digits := item.id.replace("_", "")).isdigit() else item.id
        if number not in table or len(table[number]) != n_classes - 1:
            raise files.FileError(f"{tags_file}: no {n_classes - 1} tags for {item.id}; give the list's own file")
        return np.asarray(table[number], np.float32)

    return tags


def sized(image, side=0, scale=1.0):
    """A picture as the chapter's networks see it: squashed to SIDE x SIDE, or with SIDE 0 scaled by SCALE."""
    if side:
        return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    if scale == 1:
        return image
    size = tuple(max(16, round(length * scale)) for length in image.shape[1::-1])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def grid_of(shape):
    """Size (h, w) at stride 4 of a picture of SHAPE (H, W, ...)."""
    return quarter_of(shape[0]), quarter_of(shape[1])


def truth_of(layout, n_classes):
    """A function item -> mask uint8 [H, W]."""
    return lambda item: read.mask(layout, item, n_classes)


def with_truth(items):
    """Those of the pictures that have a mask."""
    return [item for item in items if item.mask is not None]


def of_split(items, layout, root, split=""):
    """Those of the pictures that are in SPLIT too; "" keeps all. Raises ValueError if none is."""
    if not split:
        return items
    wanted = {item.id for item in read.items(layout, root, split)}
    kept = [item for item in items if item.id in wanted]
    if not kept:
        raise ValueError(f"score_split {split!r}: none of its pictures is in train_split; name a part of it")
    return kept


def shown(items, layout, n_classes, count=4):
    """A few pictures spread over the list, with two classes or more where there are."""
    def classes(item):
        return int(read.tags(layout, item, n_classes).sum()) if item.tags or item.mask else 0

    spread = items[:: max(1, len(items) // (6 * count))]
    many = sorted(spread, key=lambda item: -min(2, classes(item)))
    return sorted(many[:count], key=lambda item: item.id)


def followed(c, root, n_classes, count=4):
    """The same few training pictures in every notebook from 02 on; c: parameters of 02."""
    items = read.items(c.layout, root, c.train_split, c.limit)
    return shown(of_split(items, c.layout, root, c.score_split), c.layout, n_classes, count)
