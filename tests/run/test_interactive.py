"""The same notebooks without the runner: plain papermill, and Run all in JupyterLab."""

import json
import os
import subprocess
import sys
import time

import psutil

from tests.run.test_kills import wait_for

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


def papermill(project, stage, *more):
    """Run a stage by plain papermill with the experiment's YAML; returns the finished process."""
    command = [sys.executable, "-m", "papermill", f"notebooks/toy/{stage}.ipynb", "out.ipynb", *more]
    return subprocess.run(
        [*command, "-f", "params/toy/tiny.yaml"],
        cwd=project.root,
        env=project.environment(),
        text=True,
        capture_output=True,
        timeout=60,
    )


def test_plain_papermill_gives_the_same(project, finished):
    project.yaml("stages: [01_make, 02_train, 03_score]\nrun_dir: runs/toy/tiny\n")  # all else by default
    done = papermill(project, "01_make")
    assert done.returncode == 0, done.stderr
    run_dir, *others = 'run_dir = "runs/toy/tiny"', *cells(project, "02_train")
    shell(project, [others[0], run_dir, *others[1:]])
    assert project.manifest("01_make")["by"] == project.manifest("02_train")["by"] == "interactive"
    text = project.run()
    assert text.count("done already") == 2
    assert project.hashes() == finished.hashes()
    assert project.manifest("02_train")["key"] == finished.manifest("02_train")["key"]
    assert os.readlink(project.runs / "02_train") == os.readlink(finished.runs / "02_train")


def test_killed_papermill_continues(project):
    command = [sys.executable, "-m", "papermill", "notebooks/toy/01_make.ipynb", "out.ipynb"]
    command += ["-f", "params/toy/tiny.yaml"]
    project.hold("item 2")
    process = subprocess.Popen(
        command, cwd=project.root, env=project.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for((project.runs / "01_make/1.json").exists)
    children = psutil.Process(process.pid).children(recursive=True)
    for one in (process, *children):
        one.kill()
    process.wait()
    psutil.wait_procs(children, timeout=10)
    project.hold()
    assert "it did not finish; it continues" in project.run("--until", "01_make")
    assert len((project.runs / "01_make/.computed").read_text().split()) <= 6


def test_run_all(project):
    run_dir = 'run_dir = "runs/toy/tiny"'
    first, begin, *others = cells(project, "01_make")
    said = shell(
        project, [first, run_dir, begin, begin, "%time 1", begin, *others, "1 + 1"]
    )  # again and again, then in order
    assert "ERROR" not in said and "not counted" not in said
    assert project.manifest("01_make")["by"] == "interactive"
    before = project.manifest("01_make")
    for texts in ([begin], [begin, *others], [begin, "1 + 1", *others]):  # opened again, run again, looked around
        assert "ERROR" not in shell(project, [first, run_dir, *texts])
        assert project.manifest("01_make") == before
    assert "done already" in project.run("--until", "01_make")


def test_an_open_notebook_is_not_waited_for(project):
    first, begin, *_ = cells(project, "01_make")
    process = subprocess.Popen(
        [sys.executable, "-c", SHELL], stdin=subprocess.PIPE, text=True, cwd=project.root, env=project.environment()
    )
    process.stdin.write(json.dumps([first, 'run_dir = "runs/toy/tiny"', begin, "import time; time.sleep(60)"]))
    process.stdin.close()
    wait_for((project.runs / "01_make/log.txt").exists)
    began = time.monotonic()
    assert f"01_make is in use by process {process.pid}" in project.run(code=3)
    assert time.monotonic() - began < 5  # start of Python included, on a busy machine
    process.kill()
    process.wait()
    project.run("--until", "01_make")  # at once


def test_changed_cells_that_did_not_end_are_not_continued(project, finished):
    first, begin, middle, last = cells(project, "01_make")
    run_dir = 'run_dir = "runs/toy/tiny"'
    for texts in (
        [begin, middle.replace("seed", "seed + 1")],
        [begin, "items = 3", middle],
        [begin, "seed = 1\n" + middle],
        [begin, last, middle],
        [begin, middle, last.replace("finish(", "finish(notes={}, ")],
    ):
        assert "ERROR" not in shell(project, [first, run_dir, *texts])
        assert "changed while they ran" in project.run("--dry-run") and not project.manifest("01_make")
    assert "set aside as .store/" in project.run()
    assert project.hashes() == finished.hashes()


def test_changed_cells_on_a_finished_stage(finished):
    first, begin, middle, last = cells(finished, "01_make")
    before, run_dir = finished.hashes(), 'run_dir = "runs/toy/tiny"'
    anew = "for path in stage.folder.glob('[0-9]*.json'): path.unlink()"
    said = shell(finished, [first, run_dir, begin, anew, middle.replace("(seed, i)", "(seed + 1, i)"), last])
    assert "ERROR" not in said and "not counted as done" in said
    said = shell(finished, [first, run_dir, begin, middle, last])  # set aside, made anew
    assert "was changed" in said and "not counted" not in said
    assert finished.run().count("done already") == 3 and finished.hashes() == before


def test_changed_cells_do_not_count(project, finished):
    first, begin, middle, last = cells(project, "01_make")
    run_dir = 'run_dir = "runs/toy/tiny"'
    for texts in (
        [begin, last],
        [begin, "items = 3", middle, last],
        [begin, middle.replace("seed", "seed + 1"), last],
    ):
        said = shell(project, [first, run_dir, *texts])
        assert "ERROR" not in said and "not counted as done, for its cells were changed" in said
        assert project.manifest("01_make") is None
    second, begin, middle, last = cells(project, "02_train")
    said = shell(project, [second, run_dir, begin, middle, last])
    assert (
        "fine for a look" in said and "not counted as done, for stage 01_make is not counted as done" in said
    )
    text = project.run()
    assert "FAILED" not in text and "changed while they ran" in text
    assert project.hashes() == finished.hashes()


def test_remedies(project):
    first, begin, *others = cells(project, "02_train")
    said = shell(project, [begin])
    assert "ERROR StageError" in said and "run the parameters cell" in said
    said = shell(project, [first, "lr = 'x'", begin])
    assert "ERROR ParamsError" in said and "lr is 'x'" in said
    said = shell(project, [first, begin, *others])
    assert (
        "01_make is not finished; run `wsnb run toy/interactive --until 01_make` or that notebook first" in said
    )
    assert (project.root / "runs/toy/interactive/02_train/params.json").exists()
    said = shell(project, [first, "run_dir = '../out'", begin])
    assert "ERROR FileError" in said and not (project.root.parent / "out").exists()
    said = shell(project, [first, begin, "stage.upstream('09_none')"])
    assert "is not among what 02_train.ipynb needs" in said
