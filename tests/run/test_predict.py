"""Files of networks that others made: damaged and hostile ones are refused in words."""

import json
import zipfile

import pytest

from wsnb.run import predict
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
