"""Notebooks in JupyterLab in a real browser: Run All without an error, and every control redraws its picture."""

import os

import pytest

pytest.importorskip("selenium", reason="selenium is not installed: pip install -e .[test]")
from tests.browser import lab as reader  # noqa: E402

TINY = {"threads": 1, "workers": 0, "width": 16, "crop": 48, "batch": 8, "epochs": 1, "pretrain": 1,
        "validate_every": 1}
NOTEBOOKS = {  # name -> (parameters, controls that it has at least, slow)
    "00_start.ipynb": ({}, 6, False),
    "own_pictures.ipynb": ({}, 0, False),
    "single_stage/01_train.ipynb": (TINY, 0, False),
    "simple_does_it/06_labels.ipynb": ({"limit": 4, "workers": 0}, 0, True),
    "spml/01_regions.ipynb": ({"limit": 4, "workers": 0}, 0, True),
    "panoptic/01_crops.ipynb": ({"limit": 4}, 0, True),
    "no_people_allowed/01_classifier.ipynb": ({"limit": 16, "epochs": 1, "workers": 0}, 0, True),
}
SLOW = "runs another 1-2 minutes of a light notebook of this paper: set WSNB_SLOW=1"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_run_all_and_move_the_controls(name, driver, lab, project, screenshots):
    parameters, controls, slow = NOTEBOOKS[name]
    if slow and not os.environ.get("WSNB_SLOW"):
        pytest.skip(SLOW)
    path = project / "notebooks" / name
    if not path.exists():
        pytest.skip(f"{name} is not there")
    reader.set_parameters(path, **parameters)
    cells = reader.run_all(driver, lab, name, 600)  # seconds: the first run makes data, on a busy machine
    stem = name.removesuffix(".ipynb").replace("/", "-")
    driver.save_screenshot(str(screenshots / f"{stem}-run.png"))
    assert not [error for _, error in cells if error]
    assert all(prompt in ("", f"[{i}]:") for i, (prompt, _) in enumerate(cells, 1))  # "": a folded solution
    moved = reader.move_all(driver)
    driver.save_screenshot(str(screenshots / f"{stem}-moved.png"))
    print(name, *(f"{what} {seconds:.2f} s" for what, seconds in moved), sep=", ")
    assert len(moved) >= controls
    assert not [error for _, error in driver.execute_script(reader.CELLS) if error]
