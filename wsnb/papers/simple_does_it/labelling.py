"""Label maps of a data set by all recipes: one picture a job, resumable, the same for any number of processes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsnb.data import own_known, read, weak
from wsnb.files import FileError, save_png
from wsnb.methods import boundaries, proposals
from wsnb.papers.simple_does_it import recipes


@dataclass(frozen=True)
class Source:
    """Where boxes and the maps of other programs come from.

    layout        of the data set
    names         of its classes
    boundary_dir  folder of grey pictures ID.png from a boundary detector; "": the book's own boundaries
    mcg_dir       folder of official MCG files ID.mat; "": the book's own proposals
    """

    layout: str
    names: tuple
    boundary_dir: str = ""
    mcg_dir: str = ""


def boxes_of(source: Source, item) -> tuple[np.ndarray, np.ndarray]:
    """Boxes int64 [N, 4] (half-open) and labels [N] of a picture: from its annotation, else around its instances.

    Difficult boxes count: they too bound an object.
    """
    if item.boxes is not None:
        boxes, labels, _ = read.boxes(source.layout, item, source.names)
        return boxes, labels
    own_known.need_whole([item], "boxes from masks", "give boxes of every picture")
    mask = read.mask(source.layout, item, len(source.names))
    instances = read.instances(source.layout, item) if item.instances is not None else None
    return weak.boxes(mask, instances)


def need_maps(source: Source, items) -> None:
    """Raise FileError that names the pictures without a map in boundary_dir or mcg_dir, if these are given."""
    for name, folder, ending in (("boundary_dir", source.boundary_dir, ".png"), ("mcg_dir", source.mcg_dir, ".mat")):
        there = {path.name for path in Path(folder).glob(f"*{ending}")} if folder else set()
        missing = [f"{item.id}{ending}" for item in items if f"{item.id}{ending}" not in there] if folder else []
        if missing:
            shown = ", ".join(missing[:5]) + ", ..." * (len(missing) > 5)
            raise FileError(f"{name} {folder}: {len(missing)} of {len(items)} pictures have no file there: {shown}; "
                            f"write them, or take {name}='' for the book's own")


def picture_of(source: Source, item, settings) -> recipes.Picture:
    """A picture ready for the recipes, with other programs' maps where they are asked for."""
    image = read.image(item)
    boundary = candidates = None
    if source.boundary_dir:
        boundary = boundaries.read_map(Path(source.boundary_dir) / f"{item.id}.png", image.shape[:2])
    if source.mcg_dir:
        path = Path(source.mcg_dir) / f"{item.id}.mat"
        candidates = proposals.read_mcg(path)
        if candidates.leaves.shape != image.shape[:2]:
            raise FileError(f"{path}: superpixels {candidates.leaves.shape}, its picture is {image.shape[:2]}; "
                            "fetch the proposals of these pictures")
    return recipes.Picture(image, settings, boundary, candidates)


def jobs(source: Source, items, wanted, settings, folder):
    """For each picture what `label` needs, or None where all its files are there."""
    for item in items:
        paths = {recipe: Path(folder) / recipe / f"{item.id}.png" for recipe in wanted}
        paths = {recipe: path for recipe, path in paths.items() if not path.exists()}
        yield (source, item, paths, settings) if paths else None


def label(job) -> None:
    """Write the missing label maps of one picture."""
    if job is None:
        return
    source, item, paths, settings = job
    picture = picture_of(source, item, settings)
    boxes, labels = boxes_of(source, item)
    for recipe, path in paths.items():
        save_png(path, recipes.label_map(recipe, picture, boxes, labels))
