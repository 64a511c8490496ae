"""README's block of results comes from the published records alone."""

from pathlib import Path

import pytest

from wsnb.book import publishing, readme
from wsnb.files import FileError

ROOT = Path(__file__).parents[2]


def test_the_block_is_what_the_records_say(tmp_path):
    copy = tmp_path / "README.md"
    copy.write_text((ROOT / "README.md").read_text())
    assert not readme.update(copy, publishing.published(ROOT / "figures")), "run `wsnb report` and commit README.md"
    assert "mIoU" in readme.block(publishing.published(ROOT / "figures"))


def test_only_between_the_markers(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n")
    assert readme.update(path, []) and not readme.update(path, [])
    text = path.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text


def test_markers_missing(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("no markers")
    assert not readme.update(path, []) and path.read_text() == "no markers"
    path.write_text(readme.BEGIN)
    with pytest.raises(FileError, match="markers"):
        readme.update(path, [])
