"""Find pictures, labels and classes in a user's folder; faults are collected."""

from collections import Counter
from pathlib import Path

from wsnb.data.item import NO_CLASS
from wsnb.data.own import coco, labels, names, yolo
from wsnb.data.voc_lists import read_list
from wsnb.files import FileError, load_json

KINDS = ("tags", "boxes", "scribbles", "points", "masks", "objects")
_PLACES = {  # where a kind of label is looked for in the folder
    "images": ("images", "JPEGImages"), "tags": ("tags.csv", "tags.txt"),
    "boxes": ("boxes.json", "annotations.json", "_annotations.coco.json", "boxes", "annotations", "Annotations"),
    "scribbles": ("scribbles.csv", "scribbles"), "points": ("points.csv", "points"),
    "masks": ("masks", "SegmentationClass"), "objects": ("objects", "SegmentationObject"), "classes": ("classes.txt",),
}


def labels_in(folder: Path, places: dict, errors: list) -> dict:
    """Read {kind: {stem: labels}} of all that is given or found in FOLDER under its usual name."""
    at, there = {}, {}
    for path in sorted(folder.iterdir()):
        there.setdefault(path.name.lower(), []).append(path)
    for kind, usual in _PLACES.items():
        if places.get(kind):
            at[kind] = Path(places[kind]).expanduser()
            if not at[kind].exists():
                errors.append(f"{at[kind]}: no such {kind}; correct the path")
                del at[kind]
        else:
            found = next((there[name.lower()] for name in usual if name.lower() in there), [None])
            at[kind] = found[0]
            if len(found) > 1:
                errors.append(f"{found[0]}: {found[1].name} could be meant too; rename or remove one of them")
    if not places.get("boxes") and not any(at.get(kind) for kind in KINDS if kind != "boxes"):
        at["boxes"] = _boxes_in(folder, at["boxes"], errors)
    found = {"classes": at.get("classes"), "sizes": {}, "places": at, "folder": folder,
             "pictures": labels.pictures(at.get("images") or folder, errors)}
    outlined = {}
    for kind in KINDS:
        path = at.get(kind)
        if path is None:
            found[kind] = {}
        elif path.is_dir() and kind == "boxes":
            found[kind] = labels.xml(path, errors, found["sizes"], found["pictures"])
        elif path.is_dir():
            found[kind] = labels.maps(path, errors)
        elif kind == "boxes":
            found[kind], outlined = coco.read(path, errors, found["sizes"])
        else:
            found[kind] = (labels.tags if kind == "tags" else labels.strokes)(path, errors)
        if path is not None and not found[kind] and not any(str(path) in error for error in errors):
            errors.append(f"{path}: no {kind} in it; remove it, or put some in")
    if at.get("boxes") is None and yolo.label_files(folder):
        at["boxes"], found["boxes"] = folder / yolo.FOLDER, yolo.read(folder, found["pictures"], errors)
    found["objects"] = found["objects"] or outlined
    if not any(found[kind] for kind in KINDS) and not errors:
        errors.append(_foreign(folder))
    return found


def _boxes_in(folder: Path, usual: Path | None, errors: list) -> Path | None:
    """Find the boxes: at their USUAL place, else VOC XML beside the pictures, else the one COCO JSON in FOLDER or its
    annotations, of any name."""
    if usual is not None and (not usual.is_dir() or names.files(usual, (".xml",))):
        return usual
    if usual is None and names.files(folder, (".xml",)):
        return folder
    found = []
    for path in (path for place in (folder, usual) if place is not None for path in names.files(place, (".json",))):
        try:
            found += [path] if coco.is_coco(load_json(path)) else []
        except FileError as error:
            errors.append(str(error))
    if len(found) > 1:
        errors.append(f"{found[0]}: {found[1].name} is a COCO JSON too; say which one holds the boxes: --boxes")
    return found[0] if found else usual


def _foreign(folder: Path) -> str:
    """Say what to do with a folder without any labels of a known form."""
    for path in names.files(folder, (".json",)):
        content = load_json(path)
        if isinstance(content, dict) and "shapes" in content:
            return f"{path}: a file of LabelMe, which is not read; convert its folder to one COCO JSON: boxes.json"
        return f"{path}: no COCO JSON; export the boxes as COCO JSON: boxes.json"
    for path in names.files(folder, (".txt",)):
        if path.name != "classes.txt":
            return f"{path}: looks like YOLO's boxes; put them into {folder / 'labels'}, with classes.txt beside it"
    others = [path.name for path in sorted(folder.iterdir()) if path.is_file() and path.name[0] != "."
              and path.suffix.lower() not in names.PICTURES and path.name != "classes.txt"]
    known = f" ({', '.join(others[:3])} is not read)" if others else ""
    return (f"{folder}: no tags, boxes, scribbles, points or masks were found{known}; put tags.csv, boxes.json, "
            "scribbles/*.png or points.csv beside the pictures")


def classes_of(found: dict, errors: list) -> tuple[str, ...]:
    """List the classes, background first: of classes.txt, else the names in tags, boxes and tables, by the alphabet."""
    named = {name for tags in found["tags"].values() for name in tags}
    named |= {one[0] for kind in ("boxes", "scribbles", "points") for labels in found[kind].values()
              if isinstance(labels, list) for one in labels}
    named -= {"background"}
    if found["classes"] is not None:
        classes = _listed_classes(found["classes"], errors)
        errors += [f"{found['classes']}: {name!r} is used in the labels and not listed; add it, or correct the label"
                   for name in sorted(named - set(classes))]
    else:
        classes = tuple(sorted(named))
        if any(isinstance(labels, Path) for kind in KINDS for labels in found[kind].values()):
            errors.append("classes.txt: missing; PNG labels hold numbers; list the classes: background, then the "
                          "name of 1, of 2, ...")
    if not classes and not errors:
        errors.append(f"{found['folder']}: no class is named by any label; tag, box or mark an object")
    if twice := names.alike({*classes, *named}):
        errors.append(f"classes: {' and '.join(twice)} differ by their letters' case only; write one everywhere")
    if len(classes) > 254 or len(set(classes)) < len(classes):
        errors.append(f"{len(classes)} classes, {len(set(classes))} different: at most 254, each once")
    return ("background", *classes)


def _listed_classes(path, errors: list) -> tuple[str, ...]:
    """Read classes.txt without the background, which may stand first only, after LabelMe's __ignore__."""
    lines = read_list(path)
    classes = []
    for number, line in enumerate(lines[1:] if lines[0] == names.IGNORED else lines):
        try:
            name = names.class_name(line)
        except FileError as error:
            errors.append(f"{path}: {error}")
            continue
        if name != "background":
            classes.append(name)
        elif number:
            errors.append(f"{path}: {line} is not the first line; put it first, for 0 is the background")
    return tuple(classes)


def masks_agree(found: dict, masked: dict, classes, errors: list) -> None:
    """Compare full masks with the tags and boxes of their pictures; MASKED holds each picture's labels in its mask."""
    masked = {stem: labels for stem, labels in masked.items() if stem in found["masks"]}
    held = set().union(*masked.values())
    if masked and held in ({0, 255}, {255}):
        errors.append(NO_CLASS)
    for k, name in enumerate(classes[1:], 1):
        saying = [stem for stem in masked if name in found["tags"].get(stem, ())
                  or any(box[0] == name for box in found["boxes"].get(stem, ()))]
        if saying and k not in held and held not in ({0, 255}, {255}):
            errors.append(f"masks: none holds {k}, {name}, though tags or boxes of {len(saying)} of their pictures do, "
                          f"the first is {saying[0]}; write the numbers of classes.txt into the masks")


def pictures_of(found: dict, errors: list, notes: list) -> dict[str, Path]:
    """List the pictures of which anything is known."""
    pictures = found["pictures"]
    for kind in KINDS:
        for stem in found[kind]:
            if stem not in pictures:
                errors.append(f"{names.place(found, kind)}: {stem} is no picture of the folder; rename it, or add the "
                              "picture")
    ids = {stem: path for stem, path in pictures.items() if any(stem in found[kind] for kind in KINDS)}
    if len(ids) < len(pictures):
        left = sorted(set(pictures) - set(ids))
        notes.append(f"{len(left)} pictures have no label of any kind and are left out, the first is {left[0]}; "
                     "after a run, `wsnb predict` labels them")
    empty = [stem for stem in ids if found["boxes"].get(stem) == []
             and not any(found[kind].get(stem) for kind in KINDS)]
    if empty:
        notes.append(f"{len(empty)} of {len(ids)} pictures are listed without a box and count as empty, the first is "
                     f"{empty[0]}; if nobody has looked at them, take them out of the boxes' file")
    became = Counter(names.plain(stem) for stem in ids)
    errors += [f"{stem}: becomes {names.plain(stem)}, as another picture does; rename one" for stem in ids
               if became[names.plain(stem)] > 1]
    if len(ids) == 1 and not errors:
        errors.append(f"{found['folder']}: only one picture has labels; two at least: one to train on, one to look at")
    return ids


def unlabelled_in(folder, found: dict, errors: list) -> dict[str, Path]:
    """List the pictures of FOLDER, which have no labels; faults, and names of labelled pictures, go to ERRORS."""
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        errors.append(f"{folder}: no such folder; give the folder of the pictures without labels")
        return {}
    new = labels.pictures(folder, errors)
    if not new:
        errors.append(f"{folder}: no picture in it; the endings are {', '.join(names.PICTURES)}")
    taken = {names.plain(stem) for stem in found["pictures"]}
    errors += [f"{path}: a labelled picture has the same name; rename one of them"
               for stem, path in new.items() if names.plain(stem) in taken]
    return new
