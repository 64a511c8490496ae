"""DensePose-COCO: people in 14 parts. Lists `IMAGE MASK REGIONS` over grey PNGs, which `to_png` makes.

ROOT/images/{train2014,val2014}, ROOT/segcls/densepose/gray (masks), ROOT/segcls/densepose_points/gray (points), and
lists ROOT/lists/NAME.txt or any list file. 0 background, 1..14 parts, 255 void. `to_png` reads DensePose-COCO's JSON
with its run lengths.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from wsnb.data import coco_masks
from wsnb.data.item import Item, classes_only, given, of_image_size
from wsnb.data.voc_lists import read_list
from wsnb.files import FileError, load_json, read_index, save_text, voc_palette, write

CLASSES = ("background", "torso", "right hand", "left hand", "left foot", "right foot", "right thigh", "left thigh",
           "right leg", "left leg", "left arm", "right arm", "left forearm", "right forearm", "head")
BACKGROUND = 0
PALETTE = voc_palette()
SWAPPED = ((2, 3), (4, 5), (6, 7), (8, 9), (10, 11), (12, 13))  # right and left change places in a mirrored picture
OFFICIAL = {"train2014_sub": 3000, "minival2014": 1508, "valminusminival2014": 5984}
GREY, POINTS = "segcls/densepose/gray", "segcls/densepose_points/gray"


def class_names(root=None) -> tuple[str, ...]:
    """Background and the fourteen parts."""
    return CLASSES


def mirrored(labels) -> np.ndarray:
    """LABELS uint8 of a picture after it was mirrored: right and left change places, all else stays."""
    table = np.arange(256, dtype=np.uint8)
    for right, left in SWAPPED:
        table[[right, left]] = left, right
    return table[np.asarray(labels)]


def items(root, split: str, limit: int = 0, errors: list | None = None) -> list[Item]:
    """The pictures of the list SPLIT in its order, at most LIMIT of them (0: all).

    SPLIT: a list of ROOT/lists or ROOT ("minival2014", also under its original name with panoptic_ before it), or a
    file. Lines `IMAGE MASK REGIONS`, `IMAGE MASK` or `IMAGE`, relative to ROOT; where a list repeats the mask in the
    third column there are no regions. A MASK below densepose_points is the points, and the full mask is taken where
    it lies in segcls/densepose/gray. Raises FileError for a missing list; for a line that cannot be read or repeats a
    picture, unless there is a list ERRORS: then it is put there and the line left out.
    """
    root = Path(root).expanduser()
    path, found, seen = find_list(root, split), [], set()
    for line in read_list(path)[: limit or None]:
        try:
            item = _item(root, path, line)
            if item.id in seen:
                raise FileError(f"{path}: {item.id} occurs twice; remove one of its lines")
        except FileError as error:
            if errors is None:
                raise
            errors.append(error)
            continue
        seen.add(item.id)
        found.append(item)
    return found


def find_list(root: Path, split: str) -> Path:
    """The list file of SPLIT. Raises FileError with what to do."""
    if "/" in split or split.endswith(".txt"):
        return Path(split).expanduser()
    names = (f"{split}.txt", f"panoptic_{split}.txt")
    path = next((place / name for place in (root / "lists", root) for name in names if (place / name).exists()), None)
    if path is None:
        have = sorted(file.stem for place in (root / "lists", root) for file in place.glob("*.txt"))
        raise FileError(f"{root}: no list lists/{split}.txt; there are {', '.join(have) or 'none'}: write them from "
                        f"annotations/*.json with `wsnb data convert densepose {root}`, or give a file")
    return path


def _item(root: Path, path: Path, line: str) -> Item:
    fields = line.replace("\\", "/").split()
    if len(fields) > 3 or any(Path(f).is_absolute() or ".." in Path(f).parts for f in fields):
        raise FileError(f"{path}: line {line!r} is not `IMAGE MASK REGIONS` below the data folder; mend the list")
    image, mask, regions = (*(root / field for field in fields), None, None)[:3]
    if mask is not None and image.stem not in mask.stem:
        raise FileError(f"{path}: line {line!r} gives {image.stem} the mask of another picture; correct the list")
    regions = None if regions == mask else regions
    points = root / POINTS / f"{image.stem}.png"
    if mask is not None and "densepose_points" in fields[1]:
        points, mask = mask, root / GREY / f"{image.stem}.png"
        mask = mask if mask.exists() else None
    return Item(image.stem, image, mask, regions=regions, points=points if points.exists() else None)


def read_mask(item: Item, n_classes: int = 15) -> np.ndarray:
    """The part at every pixel, uint8 [H, W]: 0..14, 255 void. Raises FileError."""
    path = given(item, "mask")
    return of_image_size(item, path, classes_only(path, read_index(path), n_classes))


PARTS, SIDE = 14, 256  # a person's parts are masks of 256 x 256, stretched over the person's box
VOID = 255


def annotated(root) -> dict[str, Path]:
    """{split: file} of ROOT/annotations/densepose_coco_2014_SPLIT.json. Raises FileError if there is none."""
    folder, stem = Path(root).expanduser() / "annotations", "densepose_coco_2014_"
    found = {path.stem.removeprefix(stem): path for path in sorted(folder.glob(f"{stem}*.json"))}
    if not found:
        raise FileError(f"{folder}: no {stem}*.json in it; see `wsnb data fetch densepose`")
    return found


def to_png(root, progress=None) -> dict[str, int]:
    """Write segcls/densepose/gray/*.png and lists/SPLIT2014.txt for all annotations of ROOT; {split: pictures}.

    PNGs that are there are kept, so that an interrupted call continues. PROGRESS(done, total) after each picture.
    Raises FileError for broken files.
    """
    root, counts = Path(root).expanduser(), {}
    for split, path in annotated(root).items():
        pictures, lines = people(path), []
        for done, (picture, found) in enumerate(pictures, 1):
            name = picture["file_name"]
            target = root / GREY / f"{Path(name).stem}.png"
            if not target.exists():
                with write(target) as file:  # grey: the original programs read these as luminance
                    Image.fromarray(parts(path, picture, found)).save(file, format="PNG")
            folder = "train2014" if "train2014" in name else "val2014"
            lines.append(f"images/{folder}/{name} {GREY}/{target.name} {GREY}/{target.name}\n")
            if progress is not None:
                progress(done, len(pictures))
        save_text(root / "lists" / f"{split}2014.txt", "".join(lines))
        counts[split] = len(lines)
    return counts


def people(path) -> list[tuple[dict, list[dict]]]:
    """(picture, its people) for each picture of an annotation file in the file's order. Raises FileError."""
    content = load_json(path)
    try:
        found = {picture["id"]: (picture, []) for picture in content["images"]}
        for person in content["annotations"]:
            found[person["image_id"]][1].append(person)
        once = min(len(found), len({p["file_name"] for p in content["images"]}))
        wrong = [p["file_name"] for p, _ in found.values() if Path(p["file_name"]).name != p["file_name"]]
        sizes = {(p["height"], p["width"]) for p, _ in found.values()}
    except (KeyError, TypeError) as error:
        raise FileError(f"{path}: no COCO annotations ({error!r} is missing); fetch the file again") from error
    if any(type(side) is not int or not 0 < side < 10**5 for size in sizes for side in size):
        raise FileError(f"{path}: a picture's height or width is no number of pixels; fetch the file again")
    if once < len(content["images"]):
        raise FileError(f"{path}: {len(content['images'])} pictures, but {once} different ids and names; correct it")
    if wrong:
        raise FileError(f"{path}: file name {wrong[0]!r} leaves its folder; fetch the file again")
    return list(found.values())


def parts(path, picture: dict, found) -> np.ndarray:
    """The part of every pixel of a picture, uint8 [H, W]: 0, 1..14, and 255 on people whose parts nobody marked.

    Later people and parts lie in front. A mask of 256 x 256 is stretched to the person's rounded box by the nearest
    centre. Raises FileError, naming PATH and the person.
    """
    height, width = int(picture["height"]), int(picture["width"])
    drawn = np.zeros((height, width), np.uint8)
    for person in sorted(found, key=lambda one: bool(one.get("dp_masks"))):  # the unmarked ones behind the others
        try:
            if not person.get("dp_masks"):
                drawn[_outline(person, height, width)] = VOID
                continue
            x, y, w, h = (round(float(value)) for value in person["bbox"])
            masks = person["dp_masks"]
            if len(masks) != PARTS or not (1 <= w <= 2 * width and 1 <= h <= 2 * height):
                raise ValueError(f"{len(masks)} masks on a box of {w}x{h} in a picture of {width}x{height}")
            square = np.zeros((SIDE, SIDE), np.uint8)
            for part, code in enumerate(masks, 1):
                if code:
                    square[coco_masks.region(code, (SIDE, SIDE))] = part
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise FileError(f"{path}: person {person.get('id')} of {picture['file_name']} cannot be read ({error}); "
                            "fetch the file again") from error
        stretched = square[nearest(h, SIDE)[:, None], nearest(w, SIDE)]
        top, left = max(-y, 0), max(-x, 0)
        view = drawn[max(y, 0): y + h, max(x, 0): x + w]
        cut = stretched[top: top + view.shape[0], left: left + view.shape[1]]
        view[cut > 0] = cut[cut > 0]
    return drawn


def nearest(wide: int, narrow: int) -> np.ndarray:
    """For each of WIDE pixels the one of NARROW whose centre is nearest, int64 [WIDE]."""
    return ((np.arange(wide) + 0.5) * narrow / wide).astype(np.int64)


def _outline(person: dict, height: int, width: int) -> np.ndarray:
    """Where COCO's own outline of a person lies, bool [H, W]."""
    outline = person.get("segmentation")
    if not outline:
        return np.zeros((height, width), bool)
    return coco_masks.region(outline, (height, width))
