"""DensePose: run lengths of fourteen parts become grey PNGs; lists with three columns; mirrored parts."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as run_lengths

from tests.data import tree
from wsnb.data import densepose, doctor, read
from wsnb.data import item as checked
from wsnb.data.synthetic.writing import grey
from wsnb.files import FileError, save_json


def code(region):
    coded = run_lengths.encode(np.asfortranarray(region.astype(np.uint8)))
    return {"size": coded["size"], "counts": coded["counts"].decode()}


def square(rows, columns):
    region = np.zeros((256, 256), bool)
    region[rows, columns] = True
    return code(region)


def person(number, box, **parts):
    masks = [parts.get(f"p{k}", []) for k in range(1, 15)]
    return {"id": number, "image_id": 7, "category_id": 1, "bbox": box, "dp_masks": masks}


@pytest.fixture
def root(tmp_path):
    name = "COCO_train2014_000000000007.jpg"
    tree.picture(tmp_path / "images/train2014" / name)  # 16 x 12
    half = slice(0, 128), slice(0, 256)
    first = person(1, [2.2, 1.8, 8.0, 4.0], p1=square(*half), p14=square(slice(128, 256), slice(0, 128)))
    second = person(2, [8, 2, 10, 4], p2=square(slice(0, 256), slice(0, 256)))  # leaves the picture on the right
    outline = np.zeros(tree.SIZE, bool)
    outline[8:11, 1:4] = True
    third = {"id": 3, "image_id": 7, "bbox": [1, 8, 3, 3], "segmentation": code(outline)}
    fourth = {"id": 4, "image_id": 7, "bbox": [10, 8, 3, 3],
              "segmentation": [[10.0, 8.0, 13.0, 8.0, 13.0, 11.0, 10.0, 11.0]]}
    save_json(tmp_path / "annotations/densepose_coco_2014_train.json",
              {"images": [{"id": 7, "file_name": name, "height": 12, "width": 16}],
               "annotations": [first, second, third, fourth]})
    return tmp_path


def test_parts_from_run_lengths(root):
    assert densepose.to_png(root) == {"train": 1}
    item, = densepose.items(root, "train2014")
    wanted = np.zeros(tree.SIZE, np.uint8)
    wanted[8:11, 1:4] = wanted[8:11, 10:13] = 255  # nobody marked their parts
    wanted[2:4, 2:10], wanted[4:6, 2:6] = 1, 14
    wanted[2:6, 8:16] = 2                          # the later person in front, cut at the picture's border
    assert np.array_equal(densepose.read_mask(item), wanted)
    with Image.open(item.mask) as image:
        assert image.mode == "L"
    assert item.regions is None and read.tags("densepose", item, 15).nonzero()[0].tolist() == [0, 1, 13]
    before = item.mask.stat().st_mtime_ns
    densepose.to_png(root)
    assert item.mask.stat().st_mtime_ns == before


@pytest.mark.parametrize("spoil, word", [
    (lambda c: c["annotations"][0].update(dp_masks=[[]] * 3), "3 masks"),
    (lambda c: c["annotations"][0].update(bbox=[0, 0, 0, 4]), "box of 0x4"),
    (lambda c: c["annotations"][0].update(bbox="x"), "person 1"),
    (lambda c: c["annotations"][0].update(image_id=9), "COCO"),
    (lambda c: c["images"][0].update(file_name="../x.jpg"), "leaves"),
    (lambda c: c.pop("images"), "images"),
])
def test_broken_annotations(root, spoil, word):
    path = root / "annotations/densepose_coco_2014_train.json"
    content = json.loads(path.read_text())
    spoil(content)
    save_json(path, content)
    with pytest.raises(FileError, match=word):
        densepose.to_png(root)


def test_lists(root):
    densepose.to_png(root)
    with pytest.raises(FileError, match="there are train2014"):
        densepose.items(root, "minival2014")
    name = "COCO_train2014_000000000007"
    points = np.full(tree.SIZE, 254, np.uint8)
    points[2, 3], points[0] = 1, 255
    (root / densepose.POINTS).mkdir(parents=True)
    grey(root / densepose.POINTS / f"{name}.png", points)
    (root / "seginst/pmi_0.1_256").mkdir(parents=True)
    grey(root / "seginst/pmi_0.1_256" / f"{name}.png", np.arange(192, dtype=np.uint8).reshape(12, 16))
    tree.text(root / "list.txt", f"images/train2014/{name}.jpg {densepose.POINTS}/{name}.png "
                                 f"seginst/pmi_0.1_256/{name}.png\n")
    item, = densepose.items(root, str(root / "list.txt"))
    drawn = checked.weak_map(item, "points", 15)
    assert (drawn == 1).sum() == 1 and (drawn == 255).sum() == 191
    assert checked.regions(item).max() == 191 and item.mask.parent.name == "gray"
    assert doctor.check(root, [str(root / "list.txt")], layout="densepose").ok
    tree.text(root / "panoptic_minival2014.txt", f"images/{name}.jpg a b c\n/x y z\n" + f"i/{name}.jpg\n" * 2)
    report = doctor.check(root, ["minival2014"], layout="densepose")
    assert len(report.problems) == 4, report.text()  # two bad lines, one repeated, one picture missing
    grey(item.mask, np.full(tree.SIZE, 15, np.uint8))
    item.regions.write_bytes(item.regions.read_bytes()[:-30])
    report = doctor.check(root, [str(root / "list.txt")], layout="densepose")
    assert len(report.problems) == 2 and "label 15" in report.text() and "pmi_0.1_256" in report.text()


def test_mirrored_parts_change_sides():
    labels = np.arange(256, dtype=np.uint8)
    swapped = densepose.mirrored(labels)
    assert swapped[:16].tolist() == [0, 1, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 14, 15]
    assert swapped[16:].tolist() == list(range(16, 256))
    assert np.array_equal(densepose.mirrored(swapped), labels)
    for a, b in densepose.SWAPPED:
        pair = {densepose.CLASSES[a].split()[0], densepose.CLASSES[b].split()[0]}
        assert pair == {"left", "right"} and densepose.CLASSES[a].split()[1] == densepose.CLASSES[b].split()[1]
