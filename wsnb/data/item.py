"""One picture of a data set: where its files lie. Readers make them, whatever the layout."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Item:
    """Where one picture and its labels lie. None: this set has no such file for it."""

    id: str
    image: Path
    mask: Path | None       # class mask: index PNG, or SBD's cls/ID.mat
    instances: Path | None  # instance mask: index PNG, or SBD's inst/ID.mat
    boxes: Path | None      # XML
