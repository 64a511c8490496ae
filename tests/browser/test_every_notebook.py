"""Every notebook in JupyterLab in a real browser: Run All without an error, and every control redraws its picture.

The notebooks of a chapter find a small run of it by the real command, with its parameters in their parameters cells.
"""

import json
import os

import pytest

pytest.importorskip("selenium", reason="selenium is not installed: pip install -e .[test]")
from tests.browser import chains, controls, pointing  # noqa: E402
from tests.browser import lab as reader  # noqa: E402
from tests.browser.conftest import ROOT  # noqa: E402

NOTEBOOKS = [path.relative_to(ROOT / "notebooks").as_posix() for path in sorted((ROOT / "notebooks").rglob("*.ipynb"))
             if ".ipynb_checkpoints" not in path.parts]
COMPARISONS = [name for name in NOTEBOOKS if name.startswith("compare/")]
LESSONS = ("00_start.ipynb", "own_pictures.ipynb", *COMPARISONS)  # they belong to no chapter, and run as they are
# a control of each kind, and a training; tests/report/test_report.py runs all comparisons, which have no controls
QUICK = ("00_start.ipynb", "own_pictures.ipynb", "panoptic/02_cams.ipynb", "single_stage/02_masks.ipynb",
         "spml/04_embedding.ipynb")
UNTIL = {chains.of(name): name.rpartition("/")[2].removesuffix(".ipynb") for name in QUICK if name not in LESSONS}
SLOW = bool(os.environ.get("WSNB_SLOW"))
POINTED = {  # name -> what a reader does with the mouse on its picture
    "00_start.ipynb": lambda driver: pointing.draw(driver, ["x0", "y0", "x1", "y1"], 2, 128),
    "simple_does_it/04_test.ipynb": lambda driver: pointing.draw(driver, ["left", "top", "right", "bottom"], 3, 100),
    "simple_does_it/06_labels.ipynb": lambda driver: pointing.draw(driver, ["left", "top", "right", "bottom"], 4, 100),
    "spml/04_embedding.ipynb": lambda driver: pointing.click(driver, ["picture", "y", "x"], 4, -0.1, picture=0),
    "spml/07_retrieval.ipynb": lambda driver: pointing.click(driver, ["picture", "y", "x"], 5, -0.25),
}


def test_no_notebook_is_forgotten():
    assert [name for name in NOTEBOOKS if name not in LESSONS and not chains.of(name)] == []
    assert {*QUICK, *POINTED} <= {*NOTEBOOKS}


@pytest.fixture(scope="module")
def small(project):
    """Small runs in the project."""
    return chains.Chains(project, {} if SLOW else UNTIL)


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=[] if SLOW or name in QUICK else pytest.mark.skip("set WSNB_SLOW=1: ten minutes in all"))
    for name in NOTEBOOKS])
def test_run_all_and_move_every_control(name, driver, lab, project, small, screenshots):
    path, stem = project / "notebooks" / name, name.removesuffix(".ipynb").replace("/", "-")
    made = None if name in LESSONS else small.record(name)
    reader.set_parameters(path, **(made["params"] if made else {}))
    cells = reader.run_all(driver, lab, name, 600)  # seconds: the first run makes data, on a busy machine
    try:
        reader.photograph(driver, screenshots / f"{stem}-run.png")
        assert not reader.faults(driver)
        assert all(prompt in ("", f"[{i}]:") for i, (prompt, _) in enumerate(cells, 1))  # "": a folded solution
        if made:
            assert small.record(name, "manifest.json")["key"] == made["key"]  # it counts as done
        found = controls.in_page(driver)
        assert [label for label, _ in found] == controls.named(json.loads(path.read_text(encoding="utf-8")))
        for number, (label, control) in enumerate(found, 1):
            took = controls.move(driver, label, control)
            driver.save_screenshot(str(screenshots / f"{stem}-{number}-{label}.png"))
            print(f"{name}: {label} {took:.2f} s")
            assert not reader.faults(driver), label
        if name in POINTED:
            print(f"{name}: pointed at {POINTED[name](driver):.2f} s")
            driver.save_screenshot(str(screenshots / f"{stem}-pointed.png"))
            assert not reader.faults(driver)
    finally:
        reader.shut(driver)
