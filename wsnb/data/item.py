"""One picture of a data set: where its files lie. Readers make them, whatever the layout."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Item:
    """Where one picture and its labels lie. None: this set has no such file for it."""

    id: str
    image: Path
    mask: Path | None               # class mask: index PNG, SBD's cls/ID.mat, Cityscapes' label ids
    instances: Path | None = None   # instance mask: index PNG of 8 or 16 bits, SBD's inst/ID.mat
    boxes: Path | None = None       # XML
    regions: Path | None = None     # over-segmentation: a region's number at every pixel, index PNG
    scribbles: Path | None = None   # label map: classes, and C..255 where nothing is known
    points: Path | None = None      # label map, as scribbles
    tags: tuple[int, ...] | None = None  # classes that the list itself says are in the picture
