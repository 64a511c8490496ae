"""The same notebooks without the runner: plain papermill, and Run all in JupyterLab."""

import json
import subprocess
import sys

SHELL = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in json.load(sys.stdin):
    result = shell.run_cell(cell, store_history=True)
    if not result.success:
        print("ERROR", type(result.error_in_exec or result.error_before_exec).__name__, result.error_in_exec)
"""


def cells(project, stage):
    """Code of a stage's notebook."""
    content = json.loads((project.root / f"notebooks/toy/{stage}.ipynb").read_text())
    return [cell["source"] for cell in content["cells"] if cell["cell_type"] == "code"]


def shell(project, texts):
    """Run cells in an interactive IPython in the project's folder; returns what was printed."""
    done = subprocess.run(
        [sys.executable, "-c", SHELL],
        input=json.dumps(texts),
        text=True,
        capture_output=True,
        cwd=project.root,
        env=project.environment(),
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_plain_papermill_gives_the_same(project, finished):
    command = [
        sys.executable,
        "-m",
        "papermill",
        "notebooks/toy/01_make.ipynb",
        "out.ipynb",
        "-f",
        "params/toy/tiny.yaml",
    ]
    project.yaml("stages: [01_make, 02_train, 03_score]\nrun_dir: runs/toy/tiny\n")  # all else by default
    done = subprocess.run(
        command, cwd=project.root, env=project.environment(), text=True, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    run_dir, *others = 'run_dir = "runs/toy/tiny"', *cells(project, "02_train")
    shell(project, [others[0], run_dir, *others[1:]])
    assert project.manifest("01_make")["by"] == project.manifest("02_train")["by"] == "hand"
    text = project.run()
    assert text.count("done already") == 2
    assert project.hashes() == finished.hashes()
    assert project.manifest("02_train")["key"] == finished.manifest("02_train")["key"]


def test_run_all_by_hand(project):
    run_dir = 'run_dir = "runs/toy/tiny"'
    first, begin, *others = cells(project, "01_make")
    said = shell(
        project, [first, run_dir, begin, begin, "%time 1", begin, *others, "1 + 1"]
    )  # again and again, then in order
    assert "ERROR" not in said and "not counted" not in said
    assert project.manifest("01_make")["by"] == "hand"
    said = shell(project, [first, run_dir, begin])  # opened again, not gone through
    assert project.manifest("01_make") is None
    assert "it continues" in project.run("--dry-run")


def test_changed_cells_do_not_count(project):
    first, begin, middle, last = cells(project, "01_make")
    run_dir = 'run_dir = "runs/toy/tiny"'
    for texts in (
        [begin, middle.replace("seed", "seed + 1"), last],
        [begin, "items = 3", middle, last],
        [begin, last],
    ):
        said = shell(project, [first, run_dir, *texts])
        assert "ERROR" not in said and "not counted as done, for its cells were changed" in said
        assert project.manifest("01_make") is None
    second, begin, middle, last = cells(project, "02_train")
    said = shell(project, [second, run_dir, begin, middle, last])
    assert (
        "fine for looking" in said and "not counted as done, for stage 01_make is not counted as done" in said
    )
    text = project.run()
    assert "FAILED" not in text


def test_mends_by_hand(project):
    first, begin, *others = cells(project, "02_train")
    said = shell(project, [begin])
    assert "ERROR StageError" in said and "run the parameters cell" in said
    said = shell(project, [first, "lr = 'x'", begin])
    assert "ERROR ParamsError" in said and "lr is 'x'" in said
    said = shell(project, [first, begin, *others])
    assert (
        "01_make is not finished; run `wsnb run toy/by_hand --until 01_make` or that notebook first" in said
    )
    assert (project.root / "runs/toy/by_hand/02_train/params.json").exists()
    said = shell(project, [first, "run_dir = '../out'", begin])
    assert "ERROR FileError" in said and not (project.root.parent / "out").exists()
    said = shell(project, [first, begin, "stage.upstream('09_none')"])
    assert "is not among what 02_train.ipynb needs" in said
