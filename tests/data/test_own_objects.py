"""Masks of single objects in one's own pictures: outlines, numbered maps, full masks that boxes part; and stuff."""

import numpy as np
import pytest
from pycocotools import mask as run_lengths

from tests.data import tree
from wsnb.data import doctor, voc
from wsnb.data.own import dataset, outlines
from wsnb.files import FileError, read_index, save_json, save_png

SIZE = (30, 40)
SQUARE = [[10, 5, 20, 5, 20, 15, 10, 15]]  # its corners are its box's
ROOF = [[10, 15, 15, 5, 20, 15]]


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b", "c"):
        tree.picture(tmp_path / f"{name}.jpg", SIZE)
    return tmp_path


def coded(mask):
    code = run_lengths.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(SIZE), "counts": code["counts"].decode()}


def outlined(folder, *annotations):
    """boxes.json with (picture, class, box x y w h, outline, crowd) of every object; c has none."""
    save_json(folder / "boxes.json", {
        "images": [{"id": k, "file_name": f"{name}.jpg"} for k, name in enumerate("abc")],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [{"image_id": "abc".index(name), "category_id": label, "bbox": box, "iscrowd": crowd}
                        | ({} if outline is None else {"segmentation": outline})
                        for name, label, box, outline, crowd in annotations]})


def item_of(made, name):
    return next(item for split in made.splits for item in voc.items(made.root, split) if item.id == name)


def test_outlines_make_whole_masks_and_objects(folder):
    far = np.zeros(SIZE, bool)
    far[20:28, 2:12] = True
    outlined(folder, ("a", 1, [10, 5, 10, 10], ROOF, 0), ("a", 1, [2, 20, 10, 8], coded(far), 0),
             ("b", 2, [0, 0, 40, 30], coded(np.ones(SIZE)), 1), ("b", 1, [10, 5, 10, 10], ROOF, 0))
    made = dataset.make(folder)
    assert made.known == {"boxes": 3, "masks": 3, "objects": 3} and made.splits == {"train": 2, "val": 1}
    mask, numbers = (read(item_of(made, "a")) for read in (lambda item: voc.read_mask(item, 3), voc.read_instances))
    assert np.array_equal(numbers == 2, far) and 40 < (numbers == 1).sum() < 70
    assert np.array_equal(mask, (numbers > 0).astype(np.uint8)), "outside of all outlines is background"
    mask, numbers = (read(item_of(made, "b")) for read in (lambda item: voc.read_mask(item, 3), voc.read_instances))
    assert mask[0, 0] == 2 and numbers[0, 0] == 0, "a crowd has its class and no number"
    assert mask[14, 15] == 1 and numbers[14, 15] == 2, "the smaller one lies in front"
    assert not voc.read_instances(item_of(made, "c")).any()
    assert all(dataset.whole(item_of(made, name)) for name in "abc") and doctor.check(made.root).ok


def test_a_picture_without_an_outline_of_every_box_has_no_masks(folder):
    outlined(folder, ("a", 1, [10, 5, 10, 10], ROOF, 0), ("a", 2, [0, 0, 5, 5], None, 0),
             ("b", 1, [10, 5, 10, 10], SQUARE, 0))
    made = dataset.make(folder)
    assert made.known == {"boxes": 3}, "corners of a box are no outline"
    assert item_of(made, "a").instances is None and not dataset.whole(item_of(made, "a"))
    assert dataset.whole(item_of(made, "c")), "known to be empty"


@pytest.mark.parametrize("outline, said", [
    ([[1, 2, 3]], "three corners"),
    ("cat", "three corners"),
    ({"size": [3, 4], "counts": "abc"}, "run lengths are of"),
    ({"size": list(SIZE)}, "cannot be read"),
])
def test_broken_outlines_are_told(folder, outline, said):
    outlined(folder, ("a", 1, [10, 5, 10, 10], outline, 0), ("b", 1, [10, 5, 10, 10], ROOF, 0))
    with pytest.raises(FileError, match=said):
        dataset.make(folder)
    assert not list((folder / "VOCdevkit").glob("*")) if (folder / "VOCdevkit").exists() else True


def test_small_objects_survive_a_smaller_picture(folder):
    dot = np.zeros(SIZE, bool)
    dot[3, 3] = True
    outlined(folder, ("a", 1, [3, 3, 1, 1], coded(dot), 0), ("b", 1, [10, 5, 10, 10], ROOF, 0))
    made = dataset.make(folder, longest=10)
    assert (voc.read_instances(item_of(made, "a")) == 1).sum() == 1


def test_boxes_part_a_full_mask(folder):
    mask = np.zeros(SIZE, np.uint8)
    mask[5:15, 5:35], mask[20:25, 5:10] = 1, 1
    (folder / "masks").mkdir()
    save_png(folder / "masks/a.png", mask)
    (folder / "classes.txt").write_text("cat\ndog\n")
    outlined(folder, ("a", 1, [5, 5, 18, 10], None, 0), ("a", 1, [20, 5, 15, 10], None, 0),
             ("b", 2, [0, 0, 5, 5], None, 0))
    made = dataset.make(folder)
    numbers = voc.read_instances(item_of(made, "a"))
    assert made.known == {"boxes": 3, "masks": 2, "objects": 2} and made.splits["val"] == 1
    assert (numbers[5:15, 5:20] == 1).all() and (numbers[5:15, 23:35] == 2).all()
    assert (numbers[5:15, 20:23] == 255).all() and (numbers[20:25, 5:10] == 255).all(), "nobody said whose it is"


def test_numbered_objects(folder):
    mask, numbers = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    mask[5:15, 5:35] = 1
    numbers[5:15, 5:15], numbers[5:15, 15:30], numbers[5:15, 30:35] = 7, 40, 255
    for kind, drawn in (("masks", mask), ("objects", numbers)):
        (folder / kind).mkdir()
        save_png(folder / kind / "a.png", drawn)
    (folder / "classes.txt").write_text("cat\n")
    (folder / "tags.csv").write_text("b,cat\n")
    made = dataset.make(folder)
    assert sorted(np.unique(voc.read_instances(item_of(made, "a")))) == [0, 1, 2, 255]
    save_png(folder / "objects/b.png", numbers)
    with pytest.raises(FileError, match="b has no full mask"):
        dataset.make(folder, folder / "again")


def test_many_objects_of_16_bits():
    numbers = np.arange(300).reshape(15, 20).astype(np.uint16)
    with pytest.raises(FileError, match="299 objects; take at most 254"):
        outlines.renumbered("x.png", numbers)
    assert outlines.renumbered("x.png", np.minimum(numbers, 200)).max() == 200


def test_tags_that_are_never_boxed_are_stuff(folder):
    (folder / "tags.csv").write_text("a,cat;sky\nb,dog\nc,sky\n")
    outlined(folder, ("a", 1, [10, 5, 10, 10], None, 0), ("b", 2, [0, 0, 5, 5], None, 0))
    made = dataset.make(folder)
    assert made.stuff == ("sky",) and (made.root / "VOC2012/stuff.txt").read_text() == "sky\n"
    masks = {name: read_index(item_of(made, name).mask) for name in "abc"}
    assert (masks["a"] == 255).all() and (masks["c"] == 255).all(), "the sky may be anywhere outside of the box"
    assert (masks["b"][:5, :5] == 255).all() and (masks["b"] == 0).sum() == 1175


def test_sets_of_others_have_whole_masks(tmp_path):
    item = voc.Item("x", tmp_path / "x.jpg", tmp_path / "VOC2012/SegmentationClass/x.png")
    assert dataset.whole(item) and dataset.whole(voc.Item("x", tmp_path / "x.jpg", None))
    save_json(tmp_path / "VOC2012/own.json", {"whole": ["y"]})
    with pytest.raises(FileError, match=r"the bound: 1 of 1 pictures have no whole mask \(the first is x\).*; stop"):
        dataset.need_whole([item], "the bound", "stop")
