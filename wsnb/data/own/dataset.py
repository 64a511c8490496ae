"""Your own pictures as a data set: a folder of images with tags, boxes, scribbles or points becomes a VOC layout.

All unmarked pixels are void, 255, in the masks that are written: outside all boxes is background, scribbles and points
are known, a picture without objects is background, all else stays open. Whatever trains on masks or scores by them uses
the known pixels and nothing more. Full masks are taken where they are given, and masks of single objects: of outlines,
or of a full mask separated by boxes. Classes that are tagged and never boxed, though there are boxes of every picture,
are stuff.
"""

import shutil
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from wsnb.data import doctor
from wsnb.data.own import find, names, picture
from wsnb.data.own.find import KINDS
from wsnb.data.synthetic.writing import text
from wsnb.files import FileError, load_json, save_json

RECORD = "own.json"  # beside the folders of a set that `wsnb data new` wrote
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
    root = Path(root).expanduser() if root else Path(folder).expanduser() / "VOCdevkit"
    if (root / "VOC2012").exists():
        raise FileError(f"{root / 'VOC2012'}: is there already; remove it, or choose another --root")
    errors, notes = [], []
    found, classes, ids, sizes = _examined(folder, places, longest, errors, notes)
    if val >= 0 and not 1 <= val < len(ids) and not errors:
        errors.append(f"--val {val}: of {len(ids)} pictures hold out 1 to {len(ids) - 1}")
    if errors:
        more = f"\nand {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
        raise FileError("\n".join(errors[:_SHOWN]) + more)
    temporary = root / f".VOC2012.{seed}.tmp"
    building = temporary / "VOC2012"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        made = {}
        for done, (stem, path) in enumerate(ids.items(), 1):
            name = names.plain(stem)
            made[name] = picture.write(building, name, path, _of(found, stem), sizes[stem], classes)
            if progress is not None:
                progress(done, len(ids))
        splits = _splits(found, ids, made, val, seed)
        known = _known(found, ids, made)
        stuff = _stuff(found, known, made, classes)
        for split, listed in splits.items():
            text(building / "ImageSets/Segmentation" / f"{split}.txt", listed)
        text(building / "classes.txt", classes)
        if stuff:
            text(building / "stuff.txt", stuff)
        save_json(building / "tags.json", {name: sorted(one.tags) for name, one in made.items()})
        save_json(building / RECORD, {"classes": list(classes), "known": known,
                                      "whole": [name for name, one in made.items() if one.whole]})
        report = doctor.check(temporary, workers=1)
        if not report.ok:
            raise FileError("\n".join(report.problems[:_SHOWN]))
        building.rename(root / "VOC2012")
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Own(root, classes, {split: len(listed) for split, listed in splits.items()}, known, stuff, notes)


def look(folder, **places) -> doctor.Report:
    """Report on a folder that `make` would take, and on all labels in it; nothing is written. Raises FileError."""
    report = doctor.Report(str(folder))
    found, classes, ids, _ = _examined(folder, places, 0, report.problems, report.notes)
    report.pictures |= {kind: sum(stem in found[kind] for stem in ids) for kind in KINDS if found[kind]}
    report.notes.append(f"{len(ids)} pictures with labels, of the classes {', '.join(classes[1:])}")
    return report


def _examined(folder, places: dict, longest: int, errors: list, notes: list) -> tuple[dict, tuple, dict, dict]:
    """Read all labels of FOLDER and compare them with their pictures: (labels found, classes, {name: picture}, {name:
    sizes}). What is wrong goes to ERRORS. Raises FileError without a folder."""
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise FileError(f"{folder}: no such folder; give the folder of your pictures")
    found = find.labels_in(folder, places, errors)
    classes = find.classes_of(found, errors)
    ids = find.pictures_of(found, errors, notes)
    sizes = {stem: picture.size(path, longest, errors) for stem, path in ids.items()}
    masked = {stem: picture.check(found, stem, size[0], classes, errors) for stem, size in sizes.items() if size}
    if errors:
        return found, classes, ids, sizes
    find.masks_agree(found, masked, classes, errors)
    turned = [stem for stem, path in ids.items() if set(_of(found, stem)) - {"tags"} and picture.turned(path)]
    if turned:
        notes.append(f"{len(turned)} pictures are turned upright as their camera says, the first is {turned[0]}; their "
                     "labels have to be of the upright picture")
    return found, classes, ids, sizes


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
    held = set(sorted(order, key=lambda stem: stem not in whole)[:val])
    return {"train": [names.plain(stem) for stem in ids if stem not in held],
            "val": [names.plain(stem) for stem in ids if stem in held]}
