"""Which masks are whole: those of your own pictures hold what somebody marked, and all else is void.

One of your own pictures and its labels, written as VOC's files.

Whether the labels of your own pictures fit them: looked at before anything is written, every fault told.

Your own pictures as a data set: a folder of images with tags, boxes, scribbles or points becomes a VOC layout.

What nobody marked is void, 255, in the masks that are written: outside all boxes is background, scribbles and points
are known, a picture without objects is background, and all else stays open. So everything that trains on masks or
scores by them uses what is known and nothing more. Full masks are taken where they are given, masks of single objects
too: from outlines, or as boxes part a full mask. Classes that are tagged and never boxed, though there are boxes of
every picture, are stuff: regions that nobody counts.
"""

import re
import shutil
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from wsnb.data import voc
from wsnb.data.item import read_numbers
from wsnb.data.own import labels as own_labels
from wsnb.data.own import labels as own_outlines
from wsnb.data.synthetic.writing import jpeg, text
from wsnb.data.voc_lists import read_list
from wsnb.files import FileError, load_json, open_image, read_index, save_json, save_png

RECORD = "own.json"  # beside the folders of a set that `wsnb data new` wrote


def whole(item) -> bool:
    """Whether the class mask of ITEM speaks of every pixel. It does in every set but those of `wsnb data new`."""
    names = None if item.mask is None else _whole_own_known(item.mask.parents[1] / RECORD)
    return names is None or item.id in names


def need_whole(items, what: str, mend: str) -> None:
    """Raise FileError if WHAT asks for whole masks that some ITEMS have not; MEND tells what to do instead."""
    missing = [item for item in items if not whole(item)]
    if missing:
        raise FileError(f"{what}: {len(missing)} of {len(items)} pictures have no whole mask (the first is "
                        f"{missing[0].id}), and their masks hold only what was marked; {mend}")


def _whole_own_known(path: Path) -> frozenset | None:
    """Names of the pictures with a whole mask that the record names; None without a record."""
    try:
        written = path.stat().st_mtime_ns
    except OSError:
        return None
    return _names_own_known(path, written)


@lru_cache(maxsize=8)
def _names_own_known(path: Path, written: int) -> frozenset:
    """WRITTEN, the file's time, is there so that a set that was made anew is read anew."""
    content = load_json(path)
    return frozenset(content.get("whole", ()) if isinstance(content, dict) else ())


UNKNOWN = 255


@dataclass
class Written:
    """What is known of a written picture: its TAGS, whether its class mask is WHOLE, whether its OBJECTS have masks."""

    tags: set[str]
    whole: bool
    objects: bool


def write(place: Path, name: str, path: Path, labels: dict, size, classes) -> Written:
    """Write all files of a picture below PLACE.

    PATH is the picture, LABELS {kind: what its reader gave}, SIZE ((height, width) upright, the same as written),
    CLASSES the names, background first. The class mask holds what is known: a given mask or the outlines of all
    objects, else the ground outside of all boxes, scribbles, points, or nothing but ground where tags say that there
    is no object. A tag without a box may lie anywhere: then nothing outside of the boxes is known.
    """
    (height, width), small = size
    ratio = np.array([small[1] / width, small[0] / height])
    with open_image(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    if upright.size != small[::-1]:
        upright = upright.resize(small[::-1], Image.Resampling.LANCZOS)
    jpeg(place / "JPEGImages" / f"{name}.jpg", np.array(upright))
    boxes = _boxes(place, name, labels, ratio, small, classes)
    drawn = {kind: marks(labels[kind], (height, width), small, ratio, classes, thick)
             for kind, thick in (("scribbles", 3), ("points", 1)) if kind in labels}
    for kind, marked in drawn.items():
        save_png(place / kind.capitalize() / f"{name}.png", marked)
    boxed = {label for label, _, _ in labels.get("boxes", ())}
    tags = boxed | set(labels.get("tags", ())) | _names(drawn.values(), classes)
    known = np.full(small, UNKNOWN, np.uint8)
    if not tags - boxed and (boxed or [] in (labels.get("boxes"), labels.get("tags"))):
        known[:] = 0
        for x0, y0, x1, y1 in boxes:
            known[y0:y1, x0:x1] = UNKNOWN
    for marked in drawn.values():
        known = np.where(marked != UNKNOWN, marked, known)
    mask, numbers = _whole(labels, boxes, (height, width), small, classes)
    if mask is None and not known.any():  # known to be empty: that is a whole mask, and there is no object
        mask, numbers = known, np.zeros(small, np.uint8)
    known = known if mask is None else mask
    save_png(place / "SegmentationClass" / f"{name}.png", known)
    if numbers is not None:
        save_png(place / "SegmentationObject" / f"{name}.png", numbers)
    return Written(tags | _names([known], classes), mask is not None, numbers is not None)


def _names(maps, classes) -> set[str]:
    """Names of the classes but the background in label maps."""
    return {classes[k] for drawn in maps for k in np.unique(drawn) if 0 < k < UNKNOWN}


def _boxes(place, name, labels, ratio, small, classes) -> np.ndarray:
    """Boxes int [N, 4] in the written size, which are written too, if the picture has some."""
    given = labels.get("boxes", ())
    boxes = _scaled([box for _, box, _ in given], ratio, small)
    if "boxes" in labels:
        voc.save(place / "Annotations" / f"{name}.xml", f"{name}.jpg", small, boxes,
                     [classes.index(label) for label, _, _ in given], classes, [hard for _, _, hard in given])
    return boxes


def _whole(labels, boxes, size, small, classes):
    """(class mask, object mask), uint8 of the written size SMALL each; None where the labels do not say.

    Objects: a given map, else outlines, else the class mask as the boxes part it.
    """
    numbers = [classes.index(label) for label, _, _ in labels.get("boxes", ())]
    difficult = [hard for _, _, hard in labels.get("boxes", ())]
    objects, mask, found = labels.get("objects"), None, None
    if isinstance(objects, list):
        regions = np.stack([_shrunk(own_outlines.region(outline, size), small, box)
                            for outline, box in zip(objects, boxes, strict=True)])
        mask, found = own_outlines.drawn(regions, numbers, difficult)
    if "masks" in labels:
        mask = _nearest(read_index(labels["masks"]), small)
        if isinstance(objects, Path):
            found = own_outlines.renumbered(objects, _nearest(read_numbers(objects), small))
        elif found is not None:  # the mask is the surer one
            found = np.where(mask == UNKNOWN, UNKNOWN, np.where(mask > 0, found, 0)).astype(np.uint8)
        elif "boxes" in labels and len(boxes) <= own_outlines.MOST:
            found = own_outlines.parted(mask, boxes, numbers, difficult)
    return mask, found


def _nearest(labels, small) -> np.ndarray:
    """A label map [H, W] in the written size: no label arises that was not there."""
    return cv2.resize(labels, small[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def _shrunk(region, small, box) -> np.ndarray:
    """An object's pixels in the written size; one that would vanish keeps the pixel in the middle of its BOX."""
    found = _nearest(region.astype(np.uint8), small) > 0
    if not found.any():
        found[(box[1] + box[3]) // 2, (box[0] + box[2]) // 2] = True
    return found


def _scaled(boxes, ratio, small) -> np.ndarray:
    """Boxes int [N, 4] in the written size: never smaller than a pixel, never outside."""
    boxes = np.array(boxes, float).reshape(-1, 4) * np.tile(ratio, 2)
    low = np.clip(np.floor(boxes[:, :2]), 0, np.array(small[::-1]) - 1)
    high = np.clip(np.ceil(boxes[:, 2:]), low + 1, small[::-1])
    return np.concatenate([low, high], 1).astype(int)


def marks(given, size, small, ratio, classes, thick: int) -> np.ndarray:
    """Scribbles or points as a label map uint8 of the written size SMALL, 255 where nothing is known.

    GIVEN is a PNG, or (class, corners) of every stroke. THICK is the width of a drawn line in pixels.
    """
    drawn = np.full(small, UNKNOWN, np.uint8)
    if isinstance(given, Path):  # every marked pixel finds its new place: thin strokes survive
        labels = read_index(given)
        rows, columns = np.nonzero(labels != UNKNOWN)
        drawn[rows * small[0] // size[0], columns * small[1] // size[1]] = labels[rows, columns]
        return drawn
    for label, corners in given:
        line = np.minimum((np.array(corners) * ratio).astype(np.int32), (small[1] - 1, small[0] - 1))
        if len(line) == 1:
            drawn[line[0, 1], line[0, 0]] = classes.index(label)
        else:
            cv2.polylines(drawn, [line.reshape(-1, 1, 2)], False, classes.index(label), thick)
    return drawn


def size(path: Path, longest: int, errors: list) -> tuple[tuple[int, int], tuple[int, int]]:
    """(height, width) of the upright picture, as it is and as it is written."""
    try:
        with open_image(path) as image:
            width, height = image.size
            if image.getexif().get(0x0112) in (5, 6, 7, 8):  # lies on its side
                width, height = height, width
    except FileError as error:
        errors.append(f"{error}, or remove it")
        return (1, 1), (1, 1)
    scale = min(1.0, longest / max(height, width)) if longest else 1.0
    return (height, width), (max(1, round(height * scale)), max(1, round(width * scale)))


def fits(found: dict, stem: str, shape, classes, errors: list) -> None:
    """Whether a picture's labels lie inside it and are of the classes."""
    height, width = shape
    for label, (x0, y0, x1, y1), _ in found["boxes"].get(stem, ()):
        if not (-1 <= x0 < x1 <= width + 1 and -1 <= y0 < y1 <= height + 1):  # rounding may cost a pixel
            errors.append(f"boxes: {stem}: box {x0},{y0},{x1},{y1} of {label} is empty or leaves the {width}x{height} "
                          "picture (turned upright); mend it")
    _objects_fit(found, stem, (height, width), errors)
    for kind in ("scribbles", "points", "masks"):
        labels = found[kind].get(stem)
        if isinstance(labels, Path):
            try:
                drawn = read_index(labels)
            except FileError as error:
                errors.append(str(error))
                continue
            if drawn.shape != (height, width):
                errors.append(f"{labels}: {drawn.shape[1]}x{drawn.shape[0]}, but its picture is {width}x{height}; give "
                              "it in the picture's size")
            elif ((drawn >= len(classes)) & (drawn != 255)).any():
                errors.append(f"{labels}: label {drawn[drawn != 255].max()}, but classes.txt has {len(classes)} with "
                              "background; 255 means unknown")
        for label, corners in labels if isinstance(labels, list) else ():
            if any(not (0 <= x < width and 0 <= y < height) for x, y in corners):
                errors.append(f"{kind}: {stem}: a mark of {label} leaves the {width}x{height} picture; mend it")


def _objects_fit(found: dict, stem: str, size, errors: list) -> None:
    """Whether masks of a picture's single objects, outlines or a map, can be read and are of its SIZE (H, W)."""
    objects = found["objects"].get(stem)
    if isinstance(objects, Path):
        if stem not in found["masks"]:
            errors.append(f"{objects}: numbers objects, but {stem} has no full mask that tells their classes; add it")
            return
        try:
            numbers = read_numbers(objects)
            own_outlines.renumbered(objects, numbers)
        except FileError as error:
            errors.append(str(error))
            return
        if numbers.shape != size:
            errors.append(f"{objects}: {numbers.shape[1]}x{numbers.shape[0]}, but its picture is {size[1]}x{size[0]}; "
                          "give it in the picture's size")
    elif objects is not None and len(objects) > own_outlines.MOST:
        errors.append(f"boxes: {stem}: {len(objects)} outlined objects; take at most {own_outlines.MOST} a picture")
    for k, outline in enumerate(objects if isinstance(objects, list) else ()):
        try:
            own_outlines.region(outline, size)
        except ValueError as error:
            errors.append(f"boxes: {stem}: the outline of object {k + 1} ({found['boxes'][stem][k][0]}): {error}; "
                          "mend it, or remove its segmentation")


KINDS = ("tags", "boxes", "scribbles", "points", "masks", "objects")
_PLACES = {  # where a kind of label is looked for in the folder
    "images": ("images", "JPEGImages"), "tags": ("tags.csv", "tags.txt"),
    "boxes": ("boxes.json", "annotations.json", "_annotations.coco.json", "boxes", "annotations", "Annotations"),
    "scribbles": ("scribbles.csv", "scribbles"), "points": ("points.csv", "points"),
    "masks": ("masks", "SegmentationClass"), "objects": ("objects", "SegmentationObject"), "classes": ("classes.txt",),
}
_SHOWN = 20  # so many faults are told, then how many more


@dataclass
class Own:
    """What was made: ROOT, the classes, pictures a split, of how many pictures each kind of label is known ("objects":
    masks of single objects), and the classes that are stuff."""

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
    sizes = {stem: size(path, longest, errors) for stem, path in ids.items()}
    if not errors:
        for stem in ids:
            fits(found, stem, sizes[stem][0], classes, errors)
    if errors:
        more = f"\nand {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
        raise FileError("\n".join(errors[:_SHOWN]) + more)
    building = root / f".VOC2012.{seed}.tmp"
    shutil.rmtree(building, ignore_errors=True)
    try:
        made = {}
        for done, (stem, path) in enumerate(ids.items(), 1):
            made[_name(stem)] = write(building, _name(stem), path, _of(found, stem), sizes[stem], classes)
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
    """{kind: {stem: labels}} of everything that was given or lies in FOLDER under its usual name."""
    at = {}
    for kind, usual in _PLACES.items():
        if places.get(kind):
            at[kind] = Path(places[kind]).expanduser()
            if not at[kind].exists():
                errors.append(f"{at[kind]}: no such {kind}; mend the path")
                del at[kind]
        else:
            at[kind] = next((folder / name for name in usual if (folder / name).exists()), None)
    found = {"classes": at.get("classes"), "pictures": own_labels.pictures(at.get("images") or folder, errors)}
    readers = {"tags": own_labels.tags, "scribbles": own_labels.strokes, "points": own_labels.strokes,
               "boxes": own_labels.coco_boxes}
    for kind in KINDS:
        path = at.get(kind)
        if path is None:
            found[kind] = {}
        elif path.is_dir():
            found[kind] = own_labels.xml(path, errors) if kind == "boxes" else own_labels.maps(path)
        else:
            found[kind] = readers[kind](path, errors)
        if path is not None and not found[kind]:
            errors.append(f"{path}: no {kind} in it; remove it, or put some in")
    if found["boxes"] and at["boxes"].is_file() and not found["objects"] and not errors:
        found["objects"] = own_labels.coco_outlines(at["boxes"])
    return found


def _classes(found: dict, errors: list) -> tuple[str, ...]:
    """Background first: of classes.txt, else the names in tags, boxes and tables, by the alphabet."""
    named = {name for tags in found["tags"].values() for name in tags}
    named |= {one[0] for kind in ("boxes", "scribbles", "points") for labels in found[kind].values()
              if isinstance(labels, list) for one in labels}
    named -= {"background"}
    if found["classes"] is not None:
        lines = read_list(found["classes"])
        classes = tuple(line for line in lines if line != "background")
        errors += [f"{found['classes']}: {name!r} is used in the labels and not listed; add it, or mend the label"
                   for name in sorted(named - set(classes))]
    else:
        classes = tuple(sorted(named))
        if any(isinstance(labels, Path) for kind in KINDS for labels in found[kind].values()):
            errors.append("classes.txt: missing; PNG labels hold numbers, so list the classes: background, then the "
                          "name of 1, of 2, ...")
    if not classes and not errors:
        errors.append("no tags, boxes, scribbles, points or masks were found; put tags.csv, boxes.json, "
                      "scribbles/*.png or points.csv beside the pictures")
    if len(classes) > 254 or len(set(classes)) < len(classes):
        errors.append(f"{len(classes)} classes, {len(set(classes))} different: at most 254, each once")
    return ("background", *classes)


def _ids(found: dict, errors: list, notes: list) -> dict[str, Path]:
    """The pictures of which anything is known."""
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
    """Of how many pictures each kind of label is known. Outlines of all objects make a whole mask as well; where some
    pictures have masks, one that is known to be empty counts as one of them."""
    known = {kind: sum(stem in found[kind] for stem in ids) for kind in KINDS if found.get(kind)}
    if known.keys() & {"masks", "objects"}:
        known["masks"] = sum(one.whole for one in made.values())
        known["objects"] = sum(one.objects for one in made.values())
    return {kind: known[kind] for kind in KINDS if known.get(kind)}


def _stuff(found: dict, known: dict, made: dict, classes) -> tuple[str, ...]:
    """Classes that occur and never in a box, if every picture has boxes (or is known to need none)."""
    if known.get("boxes") != len(made):
        return ()
    boxed = {label for labels in found["boxes"].values() for label, _, _ in labels}
    there = set().union(*(one.tags for one in made.values()))
    return tuple(name for name in classes[1:] if name in there - boxed)


def _name(stem: str) -> str:
    """STEM with everything that a list or a command would trip over made an underscore."""
    return re.sub(r"[^\w-]", "_", stem, flags=re.ASCII).strip("_") or "picture"


def _of(found: dict, stem: str) -> dict:
    """{kind: labels} of one picture."""
    return {kind: found[kind][stem] for kind in KINDS if stem in found[kind]}


def _splits(found: dict, ids: dict, made: dict, val: int, seed: int) -> dict[str, list[str]]:
    """Held-out pictures first come from those with a full mask: only there is a score worth its name."""
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
