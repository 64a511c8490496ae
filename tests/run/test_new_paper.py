"""A method of one's own in two files: made by the command, run, and in the tables beside the others."""

import pytest

from wsnb.data.synthetic import make_voc
from wsnb.files import FileError, read_index
from wsnb.report import frame
from wsnb.run import cli, experiments, new_paper


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with nothing in it but small pictures."""
    for name in ("notebooks", "params"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("WSNB_ROOT", str(tmp_path))
    make_voc.shapes(tmp_path / "pictures", train=12, val=4, size=(64, 80))
    return tmp_path


def test_two_files_and_a_row(project, capsys):
    assert cli.main(["new", "paper", "mine"]) == 0
    said = capsys.readouterr().out
    found = [path for path in project.rglob("*") if "mine" in path.parts and path.is_file()]
    written = sorted(path.relative_to(project).as_posix() for path in found)
    assert written == ["notebooks/mine/01_method.ipynb", "params/mine/shapes.yaml"] and "wsnb run mine/shapes" in said
    assert cli.main(["run", "mine/shapes", "--data-root", str(project / "pictures")]) == 0
    folder = project / "runs/mine/shapes/01_method"
    assert len(list((folder / "labels").glob("*.png"))) == 4 and (folder / "pictures.png").is_file()
    assert any(read_index(path).any() for path in (folder / "labels").glob("*.png"))
    row, = frame.results(frame.records(project / "runs")).itertuples()
    assert (row.paper, row.method, row.supervision, row.dataset_size, row.role) == (
        "mine", "mine", "image labels", 4, "final")
    assert 0 < row.value < 100
    assert experiments.description(project / "params/mine/shapes.yaml").endswith("synthetic set.")


def test_a_name_that_is_taken_or_none(project):
    (project / "params/mine").mkdir()
    with pytest.raises(FileError, match="is there already"):
        new_paper.make(project, "mine")
    assert cli.main(["new", "paper", "../mine"]) == 2 and not list((project / "notebooks").iterdir())
