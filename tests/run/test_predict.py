"""Files of networks: the book's own; damaged and hostile ones are refused in words."""

import json
import zipfile

import numpy as np
import pytest

import wsnb
from wsnb.run import papers, predict
from wsnb.run.paths import BadName

CARD = {"paper": "single_stage", "experiment": "single_stage/shapes", "stages": ["01_train"]}


def packed(tmp_path, card, **members):
    with zipfile.ZipFile(tmp_path / "net.zip", "w") as file:
        for name, content in {"card.json": json.dumps(card), **members}.items():
            file.writestr(name, content)
    return tmp_path / "net.zip"


@pytest.mark.parametrize(("card", "said"), [
    ({}, "not a file of `wsnb export network`"), ([], "not a file of `wsnb export network`"),
    ({**CARD, "stages": ["../../etc"]}, "leaves .*: use a path below it"), ({**CARD, "paper": "../x"}, "paper '../x'"),
    ({**CARD, "stages": [3]}, "not a file of `wsnb export network`"),
])
def test_a_card_that_cannot_be(tmp_path, card, said):
    with pytest.raises((ValueError, BadName), match=said):
        with predict.of_file(packed(tmp_path, card), "cpu"):
            pass


def test_a_file_that_is_damaged_too_large_or_missing(tmp_path, monkeypatch):
    with predict.of_file(packed(tmp_path, CARD), "cpu") as run:
        assert run.has("01_train")
    monkeypatch.setattr(predict, "MOST_BYTES", 10)
    with pytest.raises(ValueError, match="which no network of the book has"):
        with predict.of_file(tmp_path / "net.zip", "cpu"):
            pass
    (tmp_path / "net.zip").write_bytes((tmp_path / "net.zip").read_bytes()[:-9])
    for name, said in (("net.zip", "not a file of"), ("none.zip", "no such file")):
        with pytest.raises(ValueError, match=said):
            with predict.of_file(tmp_path / name, "cpu"):
                pass


def test_nothing_is_written_outside(tmp_path):
    with predict.of_file(packed(tmp_path, CARD, **{"../../out": "x"}), "cpu"):
        assert not (tmp_path / "out").exists() and not (tmp_path.parent / "out").exists()


def test_parameters_that_a_notebook_got_since_are_as_they_are_there(tmp_path):
    (tmp_path / "params.json").write_text('{"params": {"crf_iterations": 3}}')
    run = predict.Run("student", "student/x", {"03_evaluate": tmp_path}, ["03_evaluate"], tmp_path, "cpu")
    p = run.upstream_params("03_evaluate")
    assert (p.crf_iterations, p.crf_backend) == (3, "pydensecrf")


def test_the_book_s_network_is_that_of_its_card():
    file = predict.paths.find() / predict.BOOK
    model, card = wsnb.load(device="cpu"), file.with_suffix(".md").read_text(encoding="utf-8")
    assert file.stat().st_size < 8e6
    maker, = {paper.book_network for paper in papers.load().values()} - {""}
    assert model.run.title == maker and f"`wsnb export network {maker}`" in card
    assert len(model.classes) == 21 and all(f"| {name} | " in card for name in model.classes)
    grey = np.full((60, 90, 3), 128, np.uint8)
    assert model.predict(grey).shape == (60, 90) and not model.predict(grey).any()  # of nothing: background
