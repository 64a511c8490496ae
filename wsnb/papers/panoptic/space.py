"""The label space of a chain: which classes are stuff, which are things, their names and colours."""

from dataclasses import dataclass

import numpy as np

from wsnb.data import cityscapes, read

IGNORE = 255


@dataclass(frozen=True)
class Space:
    """Names of the classes 0, 1, ...; which of them are STUFF (regions) and which are THINGS (countable)."""

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


def of(layout: str, names) -> Space:
    """The space of a LAYOUT with class NAMES: Cityscapes' 11 stuff and 8 thing classes; elsewhere class 0, the
    background, is the only stuff."""
    things = tuple(read.things(layout, len(names)))
    return Space(tuple(names), tuple(k for k in range(len(names)) if k not in things), things, layout)
