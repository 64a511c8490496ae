"""README's block of results comes from the published records alone."""

from pathlib import Path

import pytest

from tests.report import made
from wsnb.files import FileError, load_json
from wsnb.report import frame, publish

ROOT = Path(__file__).parents[2]


def test_the_block_is_what_the_records_say(tmp_path):
    copy = tmp_path / "README.md"
    copy.write_text((ROOT / "README.md").read_text())
    assert not publish.update(copy, frame.published(ROOT / "figures")), "run `wsnb report` and commit README.md"
    assert "mIoU" in publish.block(frame.published(ROOT / "figures"))


def test_all_commits_of_a_chain_are_named(tmp_path):
    for stage, commit in (("01_train", "a" * 40), ("02_masks", "b" * 40), ("03_evaluate", "b" * 40)):
        folder = made.manifest(tmp_path, "single_stage/x", stage, [made.result(30.0)])
        environment = load_json(folder / "results.json")["environment"]
        made.again(folder, {"environment": {**environment, "git_commit": commit}})
    assert "commits aaaaaaa, bbbbbbb: 01_train" in publish.block(frame.records(tmp_path))


def test_only_between_the_markers(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(f"before\n{publish.BEGIN}\nold\n{publish.END}\nafter\n")
    assert publish.update(path, []) and not publish.update(path, [])
    text = path.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text


def test_markers_missing(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("no markers")
    assert not publish.update(path, []) and path.read_text() == "no markers"
    path.write_text(publish.BEGIN)
    with pytest.raises(FileError, match="markers"):
        publish.update(path, [])
