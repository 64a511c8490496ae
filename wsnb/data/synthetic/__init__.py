"""The built-in synthetic sets, one for each layout: where each lies below data/shapes, and the module that makes it.

A maker has `write(root, progress=None)`, `expected()` (its files; for lists, their text), `identity()` and RECORD, the
file below PLACE that says what the folder holds.
"""

import importlib
from pathlib import Path

from wsnb.data.synthetic.writing import missing
from wsnb.files import FileError, load_json

MAKERS = {  # folder below data/shapes: (layout, module)
    "VOCdevkit": ("voc", "wsnb.data.synthetic.make_voc"),
    "cityscapes": ("cityscapes", "wsnb.data.synthetic.make_cityscapes"),
    "imagenet_det": ("imagenet_det", "wsnb.data.synthetic.make_imagenet_det"),
    "semantic_boundaries": ("sbd", "wsnb.data.synthetic.make_sbd"),
    "densepose": ("densepose", "wsnb.data.synthetic.make_densepose"),
    "coco": ("coco", "wsnb.data.synthetic.make_coco"),
}


def maker(name: str):
    """The module that makes the set NAME."""
    return importlib.import_module(MAKERS[name][1])


def folder_of(layout: str) -> str:
    """The set's folder below data/shapes for a LAYOUT. Raises ValueError."""
    found = [name for name, (known, _) in MAKERS.items() if known == layout]
    if not found:
        raise ValueError(f"layout {layout!r}: choose one of {', '.join(known for known, _ in MAKERS.values())}")
    return found[0]


def is_whole(root) -> bool:
    """Whether ROOT, a folder of data/shapes, holds today's drawing with all its files."""
    made = maker(Path(root).name)
    record = Path(root) / made.PLACE / made.RECORD
    try:
        return record.is_file() and load_json(record) == made.identity() and missing(root, made.expected()) is None
    except FileError:
        return False
