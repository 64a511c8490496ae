"""Your own pictures as a data set: a folder of images with tags, boxes, scribbles or points becomes a VOC layout.

All unmarked pixels are void, 255, in the masks that are written: outside all boxes is background, scribbles and points
are known, a picture without objects is background, all else stays open. Whatever trains on masks or scores by them uses
the known pixels and nothing more. Full masks are taken where they are given, and masks of single objects: of outlines,
or of a full mask separated by boxes. Classes that are tagged and never boxed, though there are boxes of every picture,
are stuff.
"""

import re
import shutil
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from wsnb.data.own import labels, outlines, picture
from wsnb.data.synthetic.writing import text
from wsnb.data.voc_lists import read_list
from wsnb.files import FileError, load_json, save_json

RECORD = "own.json"  # beside the folders of a set that `wsnb data new` wrote
KINDS = ("tags", "boxes", "scribbles", "points", "masks", "objects")
_PLACES = {  # where a kind of label is looked for in the folder
    "images": ("images", "JPEGImages"), "tags": ("tags.csv", "tags.txt"),
    "boxes": ("boxes.json", "annotations.json", "_annotations.coco.json", "boxes", "annotations", "Annotations"),
    "scribbles": ("scribbles.csv", "scribbles"), "points": ("points.csv", "points"),
    "masks": ("masks", "SegmentationClass"), "objects": ("objects", "SegmentationObject"), "classes": ("classes.txt",),
}
_SHOWN = 20  # faults that are listed, then the number of the others


def whole(item) -> bool:
    """Tell whether the class mask of ITEM labels every pixel. It does in every set but those of `wsnb data new`."""
    names = None if item.mask is None else _whole_names(item.mask.parents[1] / RECORD)
    return names is None or item.id in names


def need_whole(items, what: str, remedy: str) -> None:
    """Raise FileError, with a REMEDY, if WHAT needs whole masks that some ITEMS do not have."""
    missing = [item for item in items if not whole(item)]
    if missing:
        raise FileError(f"{what}: {len(missing)} of {len(items)} pictures have no whole mask (the first is "
                        f"{missing[0].id}), and their masks hold only what was marked; {remedy}")


def _whole_names(path: Path) -> frozenset | None:
    """Read the names of the pictures with a whole mask from the record at PATH; None without a record."""
    try:
        written = path.stat().st_mtime_ns
    except OSError:
        return None
    return _names_in(path, written)


@lru_cache(maxsize=8)
def _names_in(path: Path, written: int) -> frozenset:
    """Read the record; WRITTEN, the file's time, makes a new set be read anew."""
    content = load_json(path)
    return frozenset(content.get("whole", ()) if isinstance(content, dict) else ())


# making a set


@dataclass
class Own:
    """A data set that was made.

    known: of how many pictures each kind of label is known ("objects": masks of single objects); stuff: the classes
    that are stuff; notes: remarks for the user.
    """

    root: Path
    classes: tuple[str, ...]
    splits: dict[str, int]
    known: dict[str, int]
    stuff: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)


def make(folder, root=None, val: int = -1, longest: int = 500, seed: int = 0, progress=None, **places) -> Own:
    """Write the set ROOT (default FOLDER/VOCdevkit), which the reader of VOC takes.

    PLACES may name images, tags, boxes, scribbles, points, masks, objects and classes, where they do not lie in FOLDER
    under their usual names. VAL pictures are held out (-1: those with a full mask if not all have one, else a fifth).
    Pictures are turned upright as their camera says and made no longer than LONGEST pixels (0: as they are), labels
    with them. Raises FileError that lists what is wrong, before anything is written.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise FileError(f"{folder}: no such folder; give the folder of your pictures")
    root = Path(root).expanduser() if root else folder / "VOCdevkit"
    if (root / "VOC2012").exists():
        raise FileError(f"{root / 'VOC2012'}: is there already; remove it, or choose another --root")
    errors, notes = [], []
    found = _find(folder, places, errors)
    classes = _classes(found, errors)
    ids = _ids(found, errors, notes)
    sizes = {stem: picture.size(path, longest, errors) for stem, path in ids.items()}
    if not errors:
        for stem in ids:
            picture.check(found, stem, sizes[stem][0], classes, errors)
    if errors:
        more = f"\nand {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
        raise FileError("\n".join(errors[:_SHOWN]) + more)
    building = root / f".VOC2012.{seed}.tmp"
    shutil.rmtree(building, ignore_errors=True)
    try:
        made = {}
        for done, (stem, path) in enumerate(ids.items(), 1):
            made[_name(stem)] = picture.write(building, _name(stem), path, _of(found, stem), sizes[stem], classes)
            if progress is not None:
                progress(done, len(ids))
        splits = _splits(found, ids, made, val, seed)
        known = _known(found, ids, made)
        stuff = _stuff(found, known, made, classes)
        for split, names in splits.items():
            text(building / "ImageSets/Segmentation" / f"{split}.txt", names)
        text(building / "classes.txt", classes)
        if stuff:
            text(building / "stuff.txt", stuff)
        save_json(building / "tags.json", {name: sorted(one.tags) for name, one in made.items()})
        save_json(building / RECORD, {"classes": list(classes), "known": known,
                                      "whole": [name for name, one in made.items() if one.whole]})
        building.rename(root / "VOC2012")
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return Own(root, classes, {split: len(names) for split, names in splits.items()}, known, stuff, notes)


def _find(folder: Path, places: dict, errors: list) -> dict:
    """Read {kind: {stem: labels}} of all that is given or found in FOLDER under its usual name."""
    at = {}
    for kind, usual in _PLACES.items():
        if places.get(kind):
            at[kind] = Path(places[kind]).expanduser()
            if not at[kind].exists():
                errors.append(f"{at[kind]}: no such {kind}; correct the path")
                del at[kind]
        else:
            at[kind] = next((folder / name for name in usual if (folder / name).exists()), None)
    found = {"classes": at.get("classes"), "pictures": labels.pictures(at.get("images") or folder, errors)}
    readers = {"tags": labels.tags, "scribbles": labels.strokes, "points": labels.strokes,
               "boxes": labels.coco_boxes}
    for kind in KINDS:
        path = at.get(kind)
        if path is None:
            found[kind] = {}
        elif path.is_dir():
            found[kind] = labels.xml(path, errors) if kind == "boxes" else labels.maps(path)
        else:
            found[kind] = readers[kind](path, errors)
        if path is not None and not found[kind]:
            errors.append(f"{path}: no {kind} in it; remove it, or put some in")
    if found["boxes"] and at["boxes"].is_file() and not found["objects"] and not errors:
        found["objects"] = outlines.coco_outlines(at["boxes"])
    return found


def _classes(found: dict, errors: list) -> tuple[str, ...]:
    """List the classes, background first: of classes.txt, else the names in tags, boxes and tables, by the alphabet."""
    named = {name for tags in found["tags"].values() for name in tags}
    named |= {one[0] for kind in ("boxes", "scribbles", "points") for labels in found[kind].values()
              if isinstance(labels, list) for one in labels}
    named -= {"background"}
    if found["classes"] is not None:
        lines = read_list(found["classes"])
        classes = tuple(line for line in lines if line != "background")
        errors += [f"{found['classes']}: {name!r} is used in the labels and not listed; add it, or correct the label"
                   for name in sorted(named - set(classes))]
    else:
        classes = tuple(sorted(named))
        if any(isinstance(labels, Path) for kind in KINDS for labels in found[kind].values()):
            errors.append("classes.txt: missing; PNG labels hold numbers; list the classes: background, then the "
                          "name of 1, of 2, ...")
    if not classes and not errors:
        errors.append("no tags, boxes, scribbles, points or masks were found; put tags.csv, boxes.json, "
                      "scribbles/*.png or points.csv beside the pictures")
    if len(classes) > 254 or len(set(classes)) < len(classes):
        errors.append(f"{len(classes)} classes, {len(set(classes))} different: at most 254, each once")
    return ("background", *classes)


def _ids(found: dict, errors: list, notes: list) -> dict[str, Path]:
    """List the pictures of which anything is known."""
    pictures = found["pictures"]
    for kind in KINDS:
        for stem in found[kind]:
            if stem not in pictures:
                errors.append(f"{kind}: {stem} is no picture of the folder; rename it, or add the picture")
    ids = {stem: path for stem, path in pictures.items() if any(stem in found[kind] for kind in KINDS)}
    if len(ids) < len(pictures):
        left = sorted(set(pictures) - set(ids))
        notes.append(f"{len(left)} pictures have no label of any kind and are left out, the first is {left[0]}")
    names = [_name(stem) for stem in ids]
    errors += [f"{stem}: becomes {_name(stem)}, as another picture does; rename one" for stem in ids
               if names.count(_name(stem)) > 1]
    if len(ids) == 1 and not errors:
        errors.append("only one picture has labels; two at least: one to train on, one to look at")
    return ids


def _known(found: dict, ids: dict, made: dict) -> dict[str, int]:
    """Count the pictures of which each kind of label is known.

    Outlines of all objects make a whole mask as well; where some pictures have masks, one that is known to be empty
    counts as one of them.
    """
    known = {kind: sum(stem in found[kind] for stem in ids) for kind in KINDS if found.get(kind)}
    if known.keys() & {"masks", "objects"}:
        known["masks"] = sum(one.whole for one in made.values())
        known["objects"] = sum(one.objects for one in made.values())
    return {kind: known[kind] for kind in KINDS if known.get(kind)}


def _stuff(found: dict, known: dict, made: dict, classes) -> tuple[str, ...]:
    """List the classes that occur and never in a box, if every picture has boxes (or is known to need none)."""
    if known.get("boxes") != len(made):
        return ()
    boxed = {label for labels in found["boxes"].values() for label, _, _ in labels}
    there = set().union(*(one.tags for one in made.values()))
    return tuple(name for name in classes[1:] if name in there - boxed)


def _name(stem: str) -> str:
    """Replace every character of STEM that a list or a command would misread by an underscore."""
    return re.sub(r"[^\w-]", "_", stem, flags=re.ASCII).strip("_") or "picture"


def _of(found: dict, stem: str) -> dict:
    """Select {kind: labels} of one picture."""
    return {kind: found[kind][stem] for kind in KINDS if stem in found[kind]}


def _splits(found: dict, ids: dict, made: dict, val: int, seed: int) -> dict[str, list[str]]:
    """Divide the pictures: those with a full mask are held out first, since only they can be scored."""
    order = [list(ids)[k] for k in np.random.default_rng(seed).permutation(len(ids))]
    whole = {*found["masks"], *(stem for stem, given in found["objects"].items() if isinstance(given, list))}
    masked = [stem for stem in order if stem in whole]
    if val < 0:
        val = len(masked) if masked and not all(one.whole for one in made.values()) else max(1, len(ids) // 5)
    if not 1 <= val < len(ids):
        raise FileError(f"--val {val}: of {len(ids)} pictures hold out 1 to {len(ids) - 1}")
    held = set(sorted(order, key=lambda stem: stem not in whole)[:val])
    return {"train": [_name(stem) for stem in ids if stem not in held],
            "val": [_name(stem) for stem in ids if stem in held]}
