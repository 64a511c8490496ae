"""README's block of results comes from the published records alone."""

from pathlib import Path

import pytest

from wsnb.files import FileError
from wsnb.report import frame, publish

ROOT = Path(__file__).parents[2]


def test_the_block_is_what_the_records_say(tmp_path):
    copy = tmp_path / "README.md"
    copy.write_text((ROOT / "README.md").read_text())
    assert not publish.update(copy, frame.published(ROOT / "figures")), "run `wsnb report` and commit README.md"
    assert "mIoU" in publish.block(frame.published(ROOT / "figures"))


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
