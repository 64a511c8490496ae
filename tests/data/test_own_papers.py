"""What the papers' parts make of one's own pictures, whose masks hold only what was marked."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.data import tree
from wsnb.data import read, voc
from wsnb.data.own import dataset
from wsnb.files import FileError, save_json, save_png
from wsnb.papers.panoptic import data, evaluate, instance_network, label_space
from wsnb.papers.simple_does_it import box_labels, semantic
from wsnb.papers.simple_does_it import data as preparing
from wsnb.papers.simple_does_it.evaluate import scored
from wsnb.papers.spml import data as samples
from wsnb.papers.spml import weak_labels

SIZE = (40, 60)
BOX = (10, 10, 30, 25)


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b"):
        tree.picture(tmp_path / f"{name}.jpg", SIZE)
    return tmp_path


@pytest.fixture
def boxed(folder):
    """A cat in a box on each picture, sky on the first by its tag."""
    save_json(folder / "boxes.json", {
        "images": [{"id": k, "file_name": f"{name}.jpg"} for k, name in enumerate("ab")],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"image_id": k, "category_id": 1, "bbox": [10, 10, 20, 15]} for k in (0, 1)]})
    (folder / "tags.csv").write_text("a,cat;sky\n")
    return dataset.make(folder)


@pytest.fixture
def tagged(folder):
    (folder / "tags.csv").write_text("a,cat;sky\nb,cat\n")
    return dataset.make(folder)


def items(made):
    """Both pictures, by name."""
    return {item.id: item for split in made.splits for item in voc.items(made.root, split)}


def test_crops_get_their_tags_from_boxes_and_from_tags_of_stuff(boxed):
    classes = label_space.at("voc", boxed.root)
    assert classes.names == ("background", "cat", "sky") and classes.things == (1,) and classes.stuff == (0, 2)
    places, tags = data.tags_of("voc", items(boxed)["a"], classes, (20, 30))
    assert places.tolist() == [[0, 0, 20, 30], [20, 0, 40, 30], [0, 30, 20, 60], [20, 30, 40, 60]]
    assert tags.tolist() == [[False, True, True]] * 2 + [[False, False, True]] * 2, "what is not sky is not known"
    _, tags = data.tags_of("voc", items(boxed)["b"], classes, (20, 30))
    assert tags.tolist() == [[True, True, False]] * 2 + [[True, False, False]] * 2
    listed = {name: data.objects_of("voc", item, classes) for name, item in items(boxed).items()}
    assert listed["a"].labels.tolist() == [0, 2, 1] and listed["b"].labels.tolist() == [0, 1]


def test_names_in_stuff_are_classes(boxed):
    (boxed.root / "VOC2012/stuff.txt").write_text("sea\n")
    with pytest.raises(FileError, match="'sea' is no class of the set"):
        label_space.at("voc", boxed.root)


def test_panoptic_labels_want_boxes_and_the_bound_whole_masks(boxed):
    found = list(items(boxed).values())
    data.need_boxes("voc", found)
    p = SimpleNamespace(layout="voc", train_split="train", extra_split="", limit=0)
    pictures = data.of(p, boxed.root)
    assert not data.with_masks(pictures, "weak", 0.0, 0)
    with pytest.raises(FileError, match="label_source 'full'.*no whole mask.*take label_source 'weak'"):
        data.with_masks(pictures, "full", 0.0, 0)


def test_segments_that_nobody_marked_are_not_scored(boxed):
    classes, item = label_space.at("voc", boxed.root), items(boxed)["a"]
    ids, names, crowd, _ = evaluate.truth_of(item, classes)
    assert (ids == 255).all() and names == {} and crowd == () and evaluate.with_truth([item]) == [item]
    settings = instance_network.Settings("ground truth")
    found = instance_network.detect(item, np.zeros((3, *SIZE)), classes, settings)
    assert found.boxes.tolist() == [list(BOX)] and found.classes.tolist() == [1], "boxes of the annotation stand in"


def test_pixels_of_an_object_that_nobody_named(folder):
    """Two cats whose boxes overlap: what both claim is neither an instance of its own nor missed."""
    (folder / "masks").mkdir()
    mask = np.zeros(SIZE, np.uint8)
    mask[10:20, 10:50] = 1
    save_png(folder / "masks/a.png", mask)
    (folder / "classes.txt").write_text("cat\n")
    save_json(folder / "boxes.json", {
        "images": [{"id": k, "file_name": f"{name}.jpg"} for k, name in enumerate("ab")],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"image_id": 0, "category_id": 1, "bbox": [10, 10, 25, 10]},
                        {"image_id": 0, "category_id": 1, "bbox": [30, 10, 20, 10]},
                        {"image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5]}]})
    made = dataset.make(folder)
    item = items(made)["a"]
    ids, names, crowd, _ = evaluate.truth_of(item, label_space.at("voc", made.root))
    assert len(names) == 3 and len(crowd) == 1 and (ids == crowd[0]).sum() == 50
    assert [item.id for item in evaluate.with_truth(items(made).values())] == ["a"]


def test_objects_without_a_mask_are_their_boxes(boxed):
    inputs, item = box_labels.Inputs("voc", boxed.classes), items(boxed)["a"]
    (number, label, mask), = preparing.objects_of(inputs, item, drop_first=True)
    assert (number, label, mask.sum()) == (1, 1, 300) and mask[10:25, 10:30].all()
    assert scored([item], [("a.jpg", "a_1.png", BOX)]) == ([], [])
    preparing.need_masks(["weak"], [item])
    with pytest.raises(FileError, match=r"'full' wants masks of single objects, and 1 of 1 .*take train_on=\[weak\]"):
        preparing.need_masks(["weak", "full"], [item])
    with pytest.raises(FileError, match="train_labels: 'full': 1 of 1 pictures have no whole mask"):
        semantic.need_masks(["rectangles", "full"], [item])


def test_labels_are_not_made_of_masks_that_are_not_whole(tagged):
    item, inputs = items(tagged)["a"], box_labels.Inputs("voc", tagged.classes)
    with pytest.raises(FileError, match="boxes from masks: 1 of 1 .*give boxes of every picture"):
        box_labels.boxes_of(inputs, item)
    with pytest.raises(FileError, match="a: neither boxes nor masks of single objects; give boxes"):
        preparing.objects_of(inputs, item, drop_first=True)
    with pytest.raises(FileError, match="1 of 1 pictures have no boxes file .*the first is a"):
        data.need_boxes("voc", [item])
    data.need_boxes("voc", [item], boxes_dir="elsewhere")
    for supervision, mend in (("box", "give boxes of"), ("point", "take weak_source=dataset"), ("full", "weak superv")):
        with pytest.raises(FileError, match=mend):
            weak_labels.need_labels([item], supervision)
    weak_labels.need_labels([item], "tag")
    weak_labels.need_labels([item], "point", "dataset")


def test_the_classifier_of_spml_learns_the_tags(tagged):
    """The mask of a picture with nothing but tags is void: its tags do not follow from it."""
    both = [items(tagged)[name] for name in "ab"]
    made = samples.Samples(both, lambda item: voc.read_mask(item, 3), None, 3, 16,
                           tags_of=lambda item: read.tags("voc", item, 3))
    assert [np.asarray(made[k]["tags"]).tolist() for k in (0, 1)] == [[1, 1], [1, 0]]
