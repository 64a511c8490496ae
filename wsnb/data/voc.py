"""PASCAL VOC 2012 with SBD's extra masks, as they are on disk, and its XML boxes.

Roots and lists are those of `voc_lists`; the usual root is the folder VOCdevkit. Labels: 0 background, 1..C-1,
255 void. XML boxes count pixels from 1 with both ends inside; they are converted here and only here.
"""

import unicodedata
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from wsnb.data import sbd, weak
from wsnb.data.item import VOID, Item, classes_only, given, of_image_size, read_numbers
from wsnb.data.own.names import only_classes, stem
from wsnb.data.own.numbers import is_set, number
from wsnb.data.voc_lists import CLASSES, Places, is_file, places, read_list, resolve, split_lines
from wsnb.files import FileError, load_json, open_image, read_index, read_rgb, regular, voc_palette, write

PALETTE = voc_palette()  # uint8 [256, 3]; 255 is void
BACKGROUND = 0
OFFICIAL = {"train": 1464, "val": 1449, "trainval": 2913, "trainaug": 10582, "test": 1456}


def class_names(root) -> tuple[str, ...]:
    """List the set's class names, background first: VOC2012/classes.txt (one a line) if it is there, else VOC's 21.

    Raises FileError for a name that stands there twice, or is none of a class.
    """
    path = places(root).voc / "classes.txt"
    if not path.exists():
        return CLASSES
    listed = read_list(path)
    only_classes(path, listed)
    if not 2 <= len(listed) <= VOID:
        raise FileError(f"{path}: {len(listed)} classes with the background; name one besides, and {VOID} at most with "
                        f"it, for {VOID} means unknown")
    return tuple(map(_composed, listed))


def _composed(name: str) -> str:
    """NAME in Unicode's composed form: some systems write é as e and an accent."""
    return unicodedata.normalize("NFC", name)


def items(root, split: str, limit: int = 0) -> list[Item]:
    """List the pictures of SPLIT in the list's order, at most LIMIT of them (0: all).

    SPLIT is a list of ImageSets/Segmentation ("train", "val", "test", ...), "trainaug" (SBD's train and val and VOC's
    train without VOC's val; SBD's mask where SBD has the picture, else VOC's: 10,252 + 330), or a list file. A line is
    an id or the original programs' `IMAGE MASK` or `IMAGE MASK REGIONS`, relative to their data folder; what the list
    calls a mask may be a weak one. Pictures of the test split and of a list file of ids may come without a mask: its
    field is None. Raises FileError for a missing list, a repeated picture and a path that leaves the root; the files
    themselves are not opened.
    """
    lines = split_lines(root, split)
    found, seen = find(root, split, lines[:limit] if limit else lines), set()
    for item in found:
        if item.id in seen:
            raise FileError(f"list {split}: {item.id} occurs twice; remove one of its lines")
        seen.add(item.id)
    return found


def find(root, split: str, lines, errors: list | None = None) -> list[Item]:
    """Find the pictures that LINES of the list SPLIT name.

    A line that cannot be read raises FileError, or, with a list ERRORS, is left out and its error put there.
    """
    at, found = places(root), []
    listed = {}  # folder -> {name, its ending in lower case, composed: file}: one listing for thousands of pictures

    def there(path):
        if path.parent not in listed:
            files = sorted(path.parent.iterdir(), reverse=True) if path.parent.is_dir() else ()
            listed[path.parent] = {_plain_ending(file): file for file in files}
        return listed[path.parent].get(_plain_ending(path))

    for line in (line.replace("\\", "/") for line in lines):
        try:
            item = _from_paths(at, line, split) if "/" in line else _from_id(at, line, split, there)
        except FileError as error:
            if errors is None:
                raise
            errors.append(error)
        else:
            found.append(_with_labels(at, item, there))
    path = at.voc / "tags.json"
    try:
        labels = _tags(path, class_names(root)) if path.exists() else {}
    except FileError as error:
        if errors is None:
            raise
        errors.append(error)
        labels = {}
    return [replace(item, tags=labels[item.id]) if item.id in labels else item for item in found]


def _plain_ending(path) -> str:
    """A file's name, composed, its ending in lower case and short: ID.JPEG as ID.jpg."""
    return _composed(path.stem) + path.suffix.lower().replace(".jpeg", ".jpg")


def _tags(path, names) -> dict[str, tuple[int, ...]]:
    """Read {id: classes} of a set that comes with tags, as `wsnb data new` writes them; the background is no tag."""
    written, number = load_json(path), {name: k for k, name in enumerate(names)}
    lists = written.values() if isinstance(written, dict) else [None]
    if not all(isinstance(tags, list) and all(isinstance(tag, str) for tag in tags) for tags in lists):
        raise FileError(f"{path}: not an object of lists of class names, {{id: [name, ...]}}; make it again")
    unknown = sorted({tag for tags in lists for tag in tags if _composed(tag) not in number})
    if unknown:
        raise FileError(f"{path}: {', '.join(map(repr, unknown))}: no such class; the classes are {', '.join(names)}")
    return {name: tuple(sorted({number[_composed(tag)] for tag in tags} - {BACKGROUND}))
            for name, tags in written.items()}


def _from_id(at: Places, name: str, split: str, there) -> Item:
    if len(name.split()) != 1 or ".." in name:
        raise FileError(f"list {split}: line {name!r} is neither an id nor `IMAGE MASK`; correct the list")
    if split == "trainaug" and at.sbd is not None and there(at.sbd / "cls" / f"{name}.mat"):
        image = at.sbd / "img" / f"{name}.jpg"
        image = there(image) or there(at.voc / "JPEGImages" / image.name) or at.voc / "JPEGImages" / image.name
        return Item(name, image, at.sbd / "cls_png" / f"{name}.png", None, None)
    image, mask = at.voc / "JPEGImages" / f"{name}.jpg", at.voc / "SegmentationClass" / f"{name}.png"
    augmented = at.voc / "SegmentationClassAug" / mask.name  # where others keep SBD's masks
    found = there(mask) or (there(augmented) if split != "test" else None)
    if found is None and split != "test" and not is_file(split):  # VOC's test masks are not published
        found = mask
    elsewhere = at.test / "JPEGImages" / image.name if split == "test" and at.test is not None else image
    return Item(name, there(image) or there(elsewhere) or elsewhere, found, None, None)


def _from_paths(at: Places, line: str, split: str) -> Item:
    fields = line.split()
    if len(fields) > 3:
        raise FileError(f"list {split}: line {line!r} has {len(fields)} columns, not `IMAGE MASK` or "
                        "`IMAGE MASK REGIONS`; correct the list")
    image, mask, regions = (*(resolve(at, field, split) for field in fields), None, None)[:3]
    if mask is not None and image.stem not in mask.stem:
        raise FileError(f"list {split}: line {line!r} gives {image.stem} the mask of another picture; correct the list")
    return Item(image.stem, image, mask, regions=None if regions == mask else regions)  # val lists repeat the mask


def _with_labels(at: Places, item: Item, there) -> Item:
    """Complete ITEM with its instances and boxes, and with the .mat where the converted PNG of SBD is not there."""
    mask = item.mask
    from_sbd = mask is not None and at.sbd is not None and mask.parent == at.sbd / "cls_png"
    if from_sbd:
        mask = there(mask) or there(at.sbd / "cls" / f"{mask.stem}.mat") or mask
    folder = at.sbd / "inst" if from_sbd else at.voc / "SegmentationObject"
    instances = folder / f"{item.id}{'.mat' if from_sbd else '.png'}"
    boxes = at.voc / "Annotations" / f"{item.id}.xml"
    scribbles, points = (at.voc / place / f"{item.id}.png" for place in ("Scribbles", "Points"))
    return replace(item, mask=mask, instances=there(instances), boxes=there(boxes), scribbles=there(scribbles),
                   points=there(points))


def read_image(item: Item) -> np.ndarray:
    """Read the picture, uint8 [H, W, 3]. Raises FileError."""
    return read_rgb(item.image)


def read_mask(item: Item, n_classes: int = 21) -> np.ndarray:
    """Read the class mask, uint8 [H, W]: 0..n_classes - 1, 255 void. Raises FileError for other values or sizes."""
    path = given(item, "mask")
    mask = sbd.classes_of(path) if path.suffix == ".mat" else read_index(path)
    return of_image_size(item, path, classes_only(path, mask, n_classes))


def read_instances(item: Item) -> np.ndarray:
    """Read the instance mask, uint8 [H, W]: 0 none, 1..N, 255 void (VOC). Raises FileError.

    A file of 16 bits comes as uint16, in which 255 is an instance like any other.
    """
    path = given(item, "instances")
    mask = sbd.instances_of(path)[0] if path.suffix == ".mat" else read_numbers(path)
    return of_image_size(item, path, mask)


def read_tags(item: Item, n_classes: int = 21) -> np.ndarray:
    """Read tags float32 [n_classes - 1]: those listed for the picture, else those of its whole mask."""
    if item.tags is None:
        return weak.tags(read_mask(item, n_classes), n_classes)
    tags = np.zeros(n_classes - 1, np.float32)
    tags[np.array(item.tags, np.int64) - 1] = 1
    return tags


def read_boxes(item: Item, names=CLASSES) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read boxes int64 [N, 4] half-open, labels [N], difficult bool [N] of the picture's XML; see `read_xml`.

    Raises FileError, too, where the XML states another size than the picture's: the boxes would lie elsewhere.
    """
    path = given(item, "boxes")
    tree = _annotation(path)
    stated, named = _stated(path, tree), stem(tree.findtext("filename", "").strip())
    if named not in ("", stem(item.id)) and item.image.with_name(f"{named}{item.image.suffix}").exists():
        raise FileError(f"{path}: of the picture {named} by its <filename>; correct it, or the file's name")
    with open_image(item.image) as image:  # reads the header only
        width, height = image.size
    if stated != (height, width):
        raise FileError(f"{path}: of a {stated[1]}x{stated[0]} picture, but it is {width}x{height}; the boxes may lie "
                        "elsewhere (a turned photo?): correct them, or the stated size")
    return _boxes(path, tree, tuple(names))


# XML boxes


def _number(path, element, name: str) -> int:
    text = element.findtext(name)
    value = number(text)
    if value is None:
        raise FileError(f"{path}: <{name}> is {text!r}, not a number of pixels; fetch the annotation again")
    return round(value)  # a few official files hold decimals


def _annotation(path):
    """Parse an annotation file. Raises FileError."""
    path = regular(path)
    try:
        root = ElementTree.parse(path).getroot()
    except FileNotFoundError as error:
        raise FileError(f"{path}: missing; run `wsnb data doctor` to list all that is missing") from error
    except (OSError, ElementTree.ParseError, ValueError, LookupError) as error:  # the last: of an unknown encoding
        raise FileError(f"{path}: broken XML ({error}); fetch the annotation again") from error
    if root.tag != "annotation" or len(root.findall("object")) < len(list(root.iter("object"))):
        raise FileError(f"{path}: not VOC's <annotation> with its <object>s; export it as VOC XML")
    return root


def _stated(path, tree) -> tuple[int, int]:
    size = tree.find("size")
    if size is None:
        raise FileError(f"{path}: no <size>; fetch the annotation again")
    return _number(path, size, "height"), _number(path, size, "width")


def read_xml(path, names) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read the boxes of one annotation file.

    NAMES are the class names, background first. Returns boxes int64 [N, 4] (x0, y0, x1, y1 in pixels from 0,
    half-open), labels int64 [N] (1..len(names) - 1) and difficult bool [N], in the file's order. Raises FileError
    for broken XML, unknown names and boxes that are empty or leave the picture.
    """
    return _boxes(path, _annotation(path), names)


def _boxes(path, tree, names) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    height, width = _stated(path, tree)
    boxes, labels, difficult = [], [], []
    for element in tree.findall("object"):  # direct children only: <part> boxes of people lie deeper
        name, box = _composed(element.findtext("name", "").strip()), element.find("bndbox")
        if name not in names[1:]:
            raise FileError(f"{path}: unknown class {name!r}; the classes are {', '.join(names[1:])}")
        if box is None or len(element.findall("bndbox")) > 1:
            raise FileError(f"{path}: {name} has {'no' if box is None else 'more than one'} <bndbox>; give one box an "
                            "<object>")
        x0, y0, x1, y1 = (_number(path, box, key) for key in ("xmin", "ymin", "xmax", "ymax"))
        if not (1 <= x0 <= x1 <= width and 1 <= y0 <= y1 <= height):
            raise FileError(f"{path}: box {x0},{y0},{x1},{y1} of {name} is empty or leaves the "
                            f"{width}x{height} picture; correct its numbers")
        boxes.append((x0 - 1, y0 - 1, x1, y1))
        labels.append(names.index(name))
        difficult.append(is_set(element.findtext("difficult")))
    return np.array(boxes, np.int64).reshape(-1, 4), np.array(labels, np.int64), np.array(difficult, bool)


def save_xml(path, image_name: str, size, boxes, labels, names, difficult=None) -> None:
    """Write one annotation file; the inverse of `read_xml`. SIZE is (height, width), BOXES half-open [N, 4]."""
    root = ElementTree.Element("annotation")

    def add(parent, name, text=None):
        child = ElementTree.SubElement(parent, name)
        child.text = None if text is None else str(text)
        return child

    add(root, "folder", "VOC2012")
    add(root, "filename", image_name)
    shape = add(root, "size")
    for name, value in (("width", size[1]), ("height", size[0]), ("depth", 3)):
        add(shape, name, value)
    add(root, "segmented", 1)
    for k, (box, label) in enumerate(zip(boxes, labels, strict=True)):
        element = add(root, "object")
        add(element, "name", names[int(label)])
        add(element, "difficult", 0 if difficult is None else int(difficult[k]))
        frame = add(element, "bndbox")
        for name, value in (("xmin", box[0] + 1), ("ymin", box[1] + 1), ("xmax", box[2]), ("ymax", box[3])):
            add(frame, name, int(value))
    ElementTree.indent(root, "\t")
    with write(Path(path)) as file:
        file.write(ElementTree.tostring(root) + b"\n")
