"""COCO 2014 and 2017 (Lin et al., ECCV 2014) as a set for semantic segmentation: background and its 80 classes.

COCO comes as one file of all outlines a split. `wsnb data convert coco ROOT` draws them once, with `to_png`:

    classes.txt                   the classes, background first, in the order of COCO's ids (1..90 with gaps)
    tags/SPLIT.json               {picture: classes}, in the file's order: the list of the split
    semantic/SPLIT/ID.png         the class at every pixel
    objects/SPLIT/ID.png          its object: 0 none, 1..N in the file's order
    boxes/SPLIT/ID.xml            the objects' boxes, as VOC has them

Where objects overlap the smaller one lies in front. A crowd, an outline around many objects, is 255 in both maps; its
box is difficult; its class is a tag. SPLIT is train2014, val2014, train2017 or val2017.
"""

import math
from pathlib import Path

import numpy as np

from wsnb.data import coco_masks, voc
from wsnb.data.item import Item, classes_only, given, of_image_size
from wsnb.data.voc_lists import read_list
from wsnb.files import FileError, load_json, read_index, save_json, save_png, save_text, voc_palette

PALETTE = voc_palette()
BACKGROUND = 0
N_CLASSES = 81
OFFICIAL = {"train2014": 82783, "val2014": 40504, "train2017": 118287, "val2017": 5000}
WITHOUT = {"train2014": 702, "val2014": 367, "train2017": 1021, "val2017": 48}  # pictures without an annotation
MOST = 254  # objects of a picture; in 8 bits 255 is void


def class_names(root) -> tuple[str, ...]:
    """Background and the classes of ROOT/classes.txt. Raises FileError where the outlines were not drawn yet."""
    path = Path(root).expanduser() / "classes.txt"
    if not path.is_file():
        raise FileError(f"{path}: missing; `wsnb data convert coco {root}` draws the outlines of annotations/*.json, "
                        "and `wsnb data fetch coco` says where these are to be had")
    return tuple(read_list(path))


def items(root, split: str, limit: int = 0) -> list[Item]:
    """List the pictures of SPLIT in the order of COCO's file, at most LIMIT of them (0: all).

    SPLIT:LIST.txt takes those of the list, an id a line. Raises FileError for a split that was not converted.
    """
    root, (split, _, listed) = Path(root).expanduser(), split.partition(":")
    path = root / "tags" / f"{split}.json"
    if not path.is_file():
        have = ", ".join(splits(root)) or "none"
        raise FileError(f"{path}: missing, there are {have}; take one of them, or put instances_{split}.json into "
                        f"{root / 'annotations'} and call `wsnb data convert coco {root}`")
    number = {name: k for k, name in enumerate(class_names(root))}
    tags = load_json(path)
    names = read_list(listed) if listed else list(tags)
    unknown = next((name for name in names if name not in tags), None)
    if unknown is not None:
        raise FileError(f"{listed}: {unknown} is no picture of {split}; correct that line")
    folder = root / "images" / split if (root / "images" / split).is_dir() else root / split
    return [Item(name, folder / f"{name}.jpg", root / "semantic" / split / f"{name}.png",
                 root / "objects" / split / f"{name}.png", root / "boxes" / split / f"{name}.xml",
                 tags=tuple(number[tag] for tag in tags[name])) for name in names[: limit or None]]


def splits(root) -> list[str]:
    """List the splits that were converted."""
    return sorted(path.stem for path in (Path(root).expanduser() / "tags").glob("*.json"))


def read_mask(item: Item, n_classes: int = N_CLASSES) -> np.ndarray:
    """Read the class mask, uint8 [H, W]: 0..n_classes - 1, 255 in crowds. Raises FileError."""
    path = given(item, "mask")
    return of_image_size(item, path, classes_only(path, read_index(path), n_classes))


def read_instances(item: Item) -> np.ndarray:
    """Read the object at every pixel, uint8 [H, W]: 0 none, 1..N, 255 in crowds. Raises FileError."""
    path = given(item, "instances")
    return of_image_size(item, path, read_index(path))


read_tags, read_boxes = voc.read_tags, voc.read_boxes


def to_png(root, progress=None) -> dict[str, int]:
    """Draw the outlines of all ROOT/annotations/instances_SPLIT.json, see above; {split: pictures}.

    Files that are there are kept: an interrupted call continues. PROGRESS(done, total) after each picture. Raises
    FileError for a missing or broken file.
    """
    root, counts = Path(root).expanduser(), {}
    found = sorted((root / "annotations").glob("instances_*.json"))
    if not found:
        raise FileError(f"{root / 'annotations'}: no instances_*.json in it; see `wsnb data fetch coco`")
    for path in found:
        split = path.stem.removeprefix("instances_")
        names, pictures = _read(path)
        save_text(root / "classes.txt", "".join(f"{name}\n" for name in names))
        tags = {}
        for done, (picture, objects) in enumerate(pictures, 1):
            name = Path(picture["file_name"]).stem
            tags[name] = [names[k] for k in sorted({label for label, *_ in objects})]
            _write(path, root, split, name, picture, objects, names)
            if progress is not None:
                progress(done, len(pictures))
        save_json(root / "tags" / f"{split}.json", tags)  # the last of a split
        counts[split] = len(tags)
    return counts


def _read(path):
    """(class names, [(picture, [(class, outline, crowd, box)])]) of an annotation file. Raises FileError."""
    content = load_json(path)
    try:
        categories = sorted(content["categories"], key=lambda one: one["id"])
        number = {one["id"]: k for k, one in enumerate(categories, 1)}
        found = {one["id"]: (one, []) for one in content["images"]}
        for one in content["annotations"]:
            found[one["image_id"]][1].append((number[one["category_id"]], one["segmentation"], bool(one["iscrowd"]),
                                              [float(value) for value in one["bbox"]]))
        for picture, _ in found.values():
            if Path(picture["file_name"]).name != picture["file_name"]:
                raise ValueError(f"the file name {picture['file_name']!r} leaves its folder")
            if any(type(picture[side]) is not int or not 0 < picture[side] < 10**5 for side in ("height", "width")):
                raise ValueError(f"{picture['file_name']} has no height and width")
        return ["background", *(one["name"] for one in categories)], list(found.values())
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(f"{path}: not COCO's images, annotations and categories ({error}); fetch it again") from error


def _write(path, root, split, name, picture, objects, names) -> None:
    """Write the three files of a picture, unless they are there."""
    files = [root / folder / split / f"{name}.{ending}"
             for folder, ending in (("semantic", "png"), ("objects", "png"), ("boxes", "xml"))]
    if all(file.exists() for file in files):
        return
    size = picture["height"], picture["width"]
    if len(objects) > MOST:
        raise FileError(f"{path}: {len(objects)} objects in {name}, more than 8 bits number; take it out of the file")
    where = f"{path}: {name}"
    save_png(files[0], coco_masks.drawn(where, [one[:3] for one in objects], size))
    save_png(files[1], coco_masks.drawn(where, [(k, *one[1:3]) for k, one in enumerate(objects, 1)], size))
    boxes = [_whole(box, size) for *_, box in objects]
    voc.save_xml(files[2], picture["file_name"], size, boxes, [label for label, *_ in objects], names,
                 [crowd for _, _, crowd, _ in objects])


def _whole(box, size):
    """The pixels (x0, y0, x1, y1), half-open, at least one, that a box x, y, width, height touches in a picture of
    SIZE: COCO has boxes without a width, and some that end outside.
    """
    x, y, w, h = box
    ends = []
    for low, length, side in ((x, w, size[1]), (y, h, size[0])):
        first = min(max(math.floor(low), 0), side - 1)
        ends.append((first, min(max(math.ceil(low + length), first + 1), side)))
    (x0, x1), (y0, y1) = ends
    return x0, y0, x1, y1
