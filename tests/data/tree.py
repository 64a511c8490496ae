"""A tiny PASCAL VOC 2012 + SBD tree with the real layout, for the tests of reader and doctor."""

import numpy as np
from PIL import Image
from scipy.io import savemat

from wsnb.files import save_png

SIZE = (12, 16)  # height, width

XML = """<annotation><folder>VOC2012</folder><filename>{id}.jpg</filename>
<size><width>16</width><height>12</height><depth>3</depth></size>
<object><name>person</name><difficult>0</difficult>
 <bndbox><xmin>1</xmin><ymin>2</ymin><xmax>16</xmax><ymax>12</ymax></bndbox>
 <part><name>head</name><bndbox><xmin>3</xmin><ymin>3</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></part></object>
<object><name>cat</name><difficult>1</difficult>
 <bndbox><ymin>4</ymin><xmin>3.4</xmin><xmax>8.0</xmax><ymax>9</ymax></bndbox></object>
</annotation>"""


def mask(label: int = 15) -> np.ndarray:
    """Void border round a block of LABEL."""
    array = np.zeros(SIZE, np.uint8)
    array[2:9, 3:11] = 255
    array[3:8, 4:10] = label
    return array


def picture(path, size=SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = np.arange(size[0] * size[1] * 3, dtype=np.uint32).reshape(*size, 3) % 251
    Image.fromarray(ramp.astype(np.uint8)).save(path, "JPEG", quality=95)


def voc(devkit, names=("2007_000001", "2007_000002"), vals=("2007_000009",)) -> None:
    """VOC2012 with lists train and val, masks, instances and XML for all."""
    base = devkit / "VOC2012"
    for name in (*names, *vals):
        picture(base / "JPEGImages" / f"{name}.jpg")
        save_png(base / "SegmentationClass" / f"{name}.png", mask())
        save_png(base / "SegmentationObject" / f"{name}.png", np.where(mask() == 15, 1, mask()).astype(np.uint8))
        text(base / "Annotations" / f"{name}.xml", XML.format(id=name))
    text(base / "ImageSets/Segmentation/train.txt", "\n".join(names) + "\n")
    text(base / "ImageSets/Segmentation/val.txt", "\n".join(vals) + "\n\n")


def sbd(folder, train=("2007_000001", "2008_000003"), val=("2007_000009", "2008_000004")) -> None:
    """benchmark_RELEASE/dataset in FOLDER, its structs nested as in the real files."""
    base = folder / "benchmark_RELEASE/dataset"
    for name in (*train, *val):
        picture(base / "img" / f"{name}.jpg")
        classes = np.where(mask(7) == 255, 0, mask(7)).astype(np.uint8)
        instances = (classes > 0).astype(np.uint8)
        instances[3:8, 7:10] = 2
        mat(base / "cls" / f"{name}.mat", "GTcls", Segmentation=classes, CategoriesPresent=np.uint8([[7]]))
        mat(base / "inst" / f"{name}.mat", "GTinst", Segmentation=instances, Categories=np.uint8([[7], [7]]))
    text(base / "train.txt", "\n".join(train) + "\n")
    text(base / "val.txt", "\n".join(val) + "\n")


def mat(path, struct: str, **fields) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    boundaries = np.empty((2, 1), object)
    boundaries[:, 0] = [np.eye(2), np.eye(3)]
    savemat(path, {struct: {"Boundaries": boundaries, **fields}})


def text(path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
