"""Pictures of which nothing is known, as VOC's test split: they are predicted and shown, and scoring is refused."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests import unmasked
from tests.single_stage import chain
from wsnb.data import voc
from wsnb.files import FileError, save_png
from wsnb.papers.single_stage import inference, steps
from wsnb.viz.pictures import book_pictures, known_tags, ladder_figure


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Four training pictures, and five of a split `test` without a mask."""
    return unmasked.voc(tmp_path_factory.mktemp("data"))


def split_of(data, kind):
    """The split by its name, or its list as a user's own file."""
    return "test" if kind == "name" else str(data / "VOC2012/ImageSets/Segmentation/test.txt")


@pytest.mark.parametrize("kind", ["name", "file"])
def test_pictures_are_chosen_and_shown_without_a_truth(data, tmp_path, kind):
    items = voc.items(data, split_of(data, kind))
    shown = book_pictures(items, "voc", 6, count=2)
    assert [item.id for item in shown] == ["test_000000", "test_000002"]  # spread evenly
    assert not known_tags(items[0], "voc", 6).any()
    for item in shown:
        save_png(tmp_path / f"{item.id}.png", np.zeros((64, 80), np.uint8))
    truth_of = lambda item: voc.read_mask(item, 6)  # noqa: E731
    assert ladder_figure(shown, voc.read_image, truth_of, {"masks": tmp_path}).axes


@pytest.mark.parametrize("kind", ["name", "file"])
def test_true_tags_are_refused_in_words(data, kind):
    items = voc.items(data, split_of(data, kind))
    with pytest.raises(FileError, match=r"split 'test': 5 of 5.*tag_sources=\[predicted\]"):
        inference.need_tags(items, ["predicted", "ground truth"], "test")
    inference.need_tags(items, ["predicted"], "test")
    inference.need_tags(voc.items(data, "train"), ["ground truth"], "train")


def test_the_chain_writes_their_masks_and_scores_nothing(data, tmp_path):
    done = chain.run(data, tmp_path, epochs=0, split=split_of(data, "file"), tag_sources="[predicted]")
    assert done.returncode != 0 and "test.txt': 5 of 5 pictures have no mask" in done.stdout, done.stdout
    assert "`--until 02_masks` writes their label maps" in done.stdout
    assert chain.manifest(tmp_path, "02_masks")["notes"]["pictures"] == 5
    for kind in ("masks", "masks_crf"):
        assert len(list((chain.stage(tmp_path, "02_masks") / kind).glob("test_*.png"))) == 5


def test_an_unknown_choice_of_weights_is_refused_before_training(data, tmp_path):
    done = chain.run(data, tmp_path, "--until", "01_train", select="newest")
    assert done.returncode != 0 and "select is 'newest'; use one of best, last" in done.stdout, done.stdout
    assert "epoch 0" not in done.stdout


def test_held_out_pictures_choose_no_weights(data, tmp_path):
    """The faithful preset does as the original did; its protocol says so."""
    done = chain.run(data, tmp_path, "--until", "01_train", select="best", validate_crops="false")
    assert done.returncode != 0 and "val_split 'val': the epoch whose weights are kept" in done.stdout, done.stdout
    assert "take training pictures, as train or a list of some of them, train:LIST.txt" in done.stdout
    assert "epoch 0" not in done.stdout
    p = {"select": "best", "crop_sampler": "old", "validate_crops": True, "val_split": "val"}
    steps.check_select(SimpleNamespace(**p))
    steps.check_select(SimpleNamespace(**{**p, "validate_crops": False, "val_split": "train:few.txt"}))
    steps.check_select(SimpleNamespace(**{**p, "validate_crops": False, "select": "last"}))
