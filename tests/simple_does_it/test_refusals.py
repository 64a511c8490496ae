"""Values that are refused with a plain message before anything long starts."""

from types import SimpleNamespace

import pytest

from wsnb.data.item import Item
from wsnb.files import FileError
from wsnb.models import heads
from wsnb.papers.simple_does_it import box_labels, semantic


def rounds(train, recursive, made=("rectangles", "box_i")):
    semantic.check_rounds(SimpleNamespace(train_labels=train, recursive_labels=recursive), list(made))


def test_later_rounds_need_the_networks_of_the_first():
    rounds(["full", "rectangles"], ["rectangles"])
    rounds(["box_i"], [])
    with pytest.raises(ValueError, match=r"recursive_labels \['rectangles'\].*recursive_labels=\[box_i\]"):
        rounds(["box_i"], ["rectangles"])
    with pytest.raises(ValueError, match=r"recursive_labels \['full'\]"):  # the truth is not de-noised
        rounds(["full", "box_i"], ["full"])


def test_networks_need_the_labels_that_were_made():
    with pytest.raises(ValueError, match=r"train_labels \['mcg'\].*label_methods"):
        rounds(["full", "mcg"], [])


def test_largefov_without_a_width_wants_vgg16():
    with pytest.raises(ValueError, match="width=0.*1024"):
        heads.build("largefov", "tiny", 6, width=0)
    assert heads.build("largefov", "tiny", 6, width=8)[0].head.layers


def test_unknown_nodes_of_grabcut_plus():
    with pytest.raises(ValueError, match="grabcut_plus_nodes 'pixel': choose of pixels, regions"):
        box_labels.Settings(nodes="pixel")


@pytest.mark.parametrize("field, ending", [("boundaries", ".png"), ("mcg_dir", ".mat")])
def test_missing_maps_of_other_programs_are_named_together(tmp_path, field, ending):
    items = [Item(name, tmp_path / f"{name}.jpg", None) for name in "abcdefg"]
    (tmp_path / f"c{ending}").touch()
    inputs = box_labels.Inputs("voc", ("background", "a"), **{field: str(tmp_path)})
    first = ", ".join(f"{name}{ending}" for name in "abdef")
    with pytest.raises(FileError, match=rf"{field}.*6 of 7 pictures.*{first}, \.\.\."):
        box_labels.need_maps(inputs, items)
    for name in "abdefg":
        (tmp_path / f"{name}{ending}").touch()
    box_labels.need_maps(inputs, items)
    box_labels.need_maps(box_labels.Inputs("voc", ("background", "a")), items)
