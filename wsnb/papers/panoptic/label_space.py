"""The label space of a chain: names and colours of the classes, and which of them are stuff, which thing classes."""

from dataclasses import dataclass

import numpy as np

from wsnb.data import cityscapes, read
from wsnb.data.voc_lists import places, read_list
from wsnb.files import FileError

IGNORE = 255


@dataclass(frozen=True)
class Space:
    """Names of the classes 0, 1, ...; which of them are stuff (regions), and which thing classes (instances)."""

    names: tuple[str, ...]
    stuff: tuple[int, ...]
    things: tuple[int, ...]
    layout: str = "cityscapes"

    def __len__(self):
        return len(self.names)

    @property
    def palette(self) -> np.ndarray:
        """Colours uint8 [256, 3]. Cityscapes': the released colour map (black at 255)."""
        return read.palette(self.layout)

    @property
    def background(self) -> int | None:
        """The class that is drawn as the bare picture: 0 in VOC, none in street scenes."""
        return read.background(self.layout)


CITYSCAPES = Space(cityscapes.CLASSES, cityscapes.STUFF, cityscapes.THINGS)


def at(layout: str, root) -> Space:
    """Read the space of the data set ROOT in a LAYOUT. In VOC's, VOC2012/stuff.txt names the stuff classes, one a line.

    Raises FileError for a name there that is no class.
    """
    names = tuple(read.class_names(layout, root))
    path = places(root).voc / "stuff.txt" if layout == "voc" else None
    stuff = read_list(path) if path is not None and path.exists() else []
    wrong = [name for name in stuff if name not in names]
    if wrong:
        raise FileError(f"{path}: {wrong[0]!r} is no class of the set; take names of classes.txt")
    return of(layout, names, stuff)


def of(layout: str, names, stuff=()) -> Space:
    """Make the space of a LAYOUT with class NAMES.

    Stuff: 11 of Cityscapes' 19 classes; elsewhere class 0, the background, and the classes named in STUFF.
    """
    things = tuple(k for k in read.thing_classes(layout, len(names)) if names[k] not in stuff)
    return Space(tuple(names), tuple(k for k in range(len(names)) if k not in things), things, layout)
