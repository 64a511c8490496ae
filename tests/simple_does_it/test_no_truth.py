"""Pictures of which nothing is known, as VOC's test split: they are predicted and shown, and scoring is refused."""

from functools import partial

import numpy as np
import pytest

from tests import unmasked
from tests.simple_does_it import chain
from wsnb.data import read
from wsnb.files import save_png
from wsnb.viz.pictures import book_pictures, ladder_figure


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Four training pictures, and five of a split `test` without a mask."""
    return unmasked.voc(tmp_path_factory.mktemp("data"))


def test_pictures_are_chosen_and_shown_without_a_truth(data, tmp_path):
    items = read.items("voc", data, "test")
    shown = book_pictures(items, "voc", 6, count=2)
    assert [item.id for item in shown] == ["test_000000", "test_000002"]  # spread evenly
    for item in shown:
        save_png(tmp_path / f"{item.id}.png", np.zeros((64, 80), np.uint8))
    truth_of = partial(read.mask, "voc", n_classes=6)
    assert ladder_figure(shown, read.image, truth_of, {"Rectangles": tmp_path}).axes


@pytest.fixture(scope="module")
def tested(data, tmp_path_factory):
    runs = tmp_path_factory.mktemp("tested")
    words = {"label_methods": "[rectangles]", "train_labels": "[rectangles]", "recursive_labels": "[rectangles]",
             "rules": "[outside]", "crf_at_test": "false", "val_split": "test"}
    return runs, words, chain.run("shapes_semantic", data, runs, **words)


def test_the_chain_writes_their_maps_and_scores_nothing(tested):
    runs, _, done = tested
    assert done.returncode != 0 and "val_split 'test': 5 of 5 pictures have no mask" in done.stdout, done.stdout
    assert "`--until 07_train@2` writes their label maps" in done.stdout
    for stage, name in (("07_train", "rectangles"), ("07_train@2", "rectangles@2")):
        place = chain.stage(runs, "shapes_semantic", stage)
        assert (place / "manifest.json").exists() and len(list((place / "val" / name).glob("test_*.png"))) == 5


@pytest.mark.parametrize("changed, said", [
    ({"recursive_labels": "[box_i]"}, "recursive_labels ['box_i']"),
    ({"rules": "[outsides]"}, "rules is 'outsides'; did you mean 'outside'? use one of outside, reset, crf")])
def test_words_that_break_a_later_round_are_refused_in_the_first(data, tested, changed, said):
    runs, words, _ = tested
    done = chain.run("shapes_semantic", data, runs, "--until", "07_train", **{**words, **changed})
    assert done.returncode != 0 and said in done.stdout and "training on" not in done.stdout, done.stdout
