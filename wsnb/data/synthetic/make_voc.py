"""Write the synthetic set `shapes` to disk in the layout of PASCAL VOC 2012, so that the real reader reads it."""

from pathlib import Path

from wsnb.data.synthetic import shapes as drawing
from wsnb.data.synthetic.writing import claim, jpeg, text
from wsnb.data.voc import read_xml, save_xml
from wsnb.files import save_png

VERSION = 1  # of the drawing; another number means other pictures
TRAIN, VAL, SIZE = 120, 24, (96, 128)  # of the built-in set
RECORD = "shapes.json"  # says what a folder holds
PLACE = "VOC2012"  # of the record below the root


def shapes(root, train: int = TRAIN, val: int = VAL, size=SIZE, seed: int = 0, progress=None) -> Path:
    """Write the set `shapes` in the layout of PASCAL VOC 2012; returns ROOT, which the reader of VOC takes.

    ROOT/VOC2012 gets JPEGImages, SegmentationClass, SegmentationObject, Annotations, ImageSets and classes.txt. SIZE is
    (height, width). A picture depends on seed, split and its number alone; those that are there already are kept; an
    interrupted call continues and a larger set contains the smaller one. PROGRESS(done, total) is called after each
    picture. Raises FileError if ROOT holds pictures of another seed or size, ValueError for bad counts.
    """
    root = Path(root)
    voc = root / "VOC2012"
    if train < 1 or val < 1:
        raise ValueError(f"shapes({train=}, {val=}): at least one picture each")
    claim(voc / RECORD, identity(size, seed), voc)
    text(voc / "classes.txt", drawing.CLASSES)
    done, total, tags = 0, train + val, {}
    for split, count in (("train", train), ("val", val)):
        for index in range(count):
            name = f"{split}_{index:06d}"
            _picture(voc, name, lambda split=split, index=index: drawing.scene(index, split, size, seed))
            tags[name] = _tags(voc, name)
            done += 1
            if progress is not None:
                progress(done, total)
    for split in ("train", "val"):
        _lists(voc, split, {name: labels for name, labels in tags.items() if name.startswith(split)})
    return root


def identity(size=SIZE, seed: int = 0) -> dict:
    """What makes pictures the same: drawing, size, seed."""
    return {"set": "shapes", "version": VERSION, "size": [int(side) for side in size], "seed": int(seed)}


def _picture(voc: Path, name: str, draw) -> None:
    """Write the four files of one picture, unless they are there; each is written whole or not at all."""
    image, mask = voc / "JPEGImages" / f"{name}.jpg", voc / "SegmentationClass" / f"{name}.png"
    instances, boxes = voc / "SegmentationObject" / f"{name}.png", voc / "Annotations" / f"{name}.xml"
    if all(path.exists() for path in (image, mask, instances, boxes)):
        return
    scene = draw()
    jpeg(image, scene.image)
    save_png(mask, scene.mask)
    save_png(instances, scene.instances)
    save_xml(boxes, image.name, scene.mask.shape, scene.boxes, scene.labels, drawing.CLASSES)


def _tags(voc: Path, name: str) -> set[int]:
    return set(read_xml(voc / "Annotations" / f"{name}.xml", drawing.CLASSES)[1].tolist())


def _lists(voc: Path, split: str, tags: dict) -> None:
    """ImageSets/Segmentation/SPLIT.txt, and in Main one list and one list a class with 1 or -1 for each picture."""
    text(voc / "ImageSets/Segmentation" / f"{split}.txt", tags)
    text(voc / "ImageSets/Main" / f"{split}.txt", tags)
    for label, title in enumerate(drawing.CLASSES[1:], 1):
        lines = (f"{name} {1 if label in labels else -1:2d}" for name, labels in tags.items())
        text(voc / "ImageSets/Main" / f"{title}_{split}.txt", lines)



def write(root, progress=None) -> Path:
    """The built-in set."""
    return shapes(root, TRAIN, VAL, progress=progress)


def expected() -> dict[str, str | None]:
    """The built-in set's files below its root; for lists, what they hold."""
    files = {}
    for split, count in (("train", TRAIN), ("val", VAL)):
        names = [f"{split}_{index:06d}" for index in range(count)]
        files[f"VOC2012/ImageSets/Segmentation/{split}.txt"] = "".join(f"{name}\n" for name in names)
        for folder, ending in (("JPEGImages", "jpg"), ("SegmentationClass", "png"), ("SegmentationObject", "png"),
                               ("Annotations", "xml")):
            files.update({f"VOC2012/{folder}/{name}.{ending}": None for name in names})
    return files
