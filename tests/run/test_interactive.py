"""The same notebooks without the runner: plain papermill, and Run all in JupyterLab."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import psutil

from tests.run.test_kills import wait_for
from wsnb.run import interactive, locks, store

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
    said = project.run(code=3)
    assert f"01_make is in use by process {process.pid}" in said and "Kernel → Shut Down Kernel" in said
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


def test_an_open_notebook_of_a_later_stage_is_named_before_an_earlier_one_runs(project, finished):
    """The key of the later stage is known before the earlier one has run."""
    folder = (finished.runs / "02_train").resolve()
    shutil.rmtree((finished.runs / "01_make").resolve())
    shutil.rmtree(folder)
    with locks.acquire(store.run_lock(folder), "it", note=interactive.NOTE):
        said = finished.run(code=3)
    assert "toy/tiny 02_train is in use" in said and "runs, because" not in said


def test_status_shows_other_values_and_what_came_before_them(finished):
    first, begin, *others = cells(finished, "01_make")
    assert "ERROR" not in shell(finished, [first, 'run_dir = "runs/toy/tiny"\nitems = 3', begin, *others])
    made, train, _ = finished.wsnb("status").splitlines()[1:]
    assert "with items 3, not 5" in made and "not of the present 01_make, run it again" in train
    finished.run()
    assert "with" not in finished.wsnb("status") and "not of" not in finished.wsnb("status")


def test_git_sees_nothing_of_a_notebook_that_was_run_and_saved(tmp_path):
    root = Path(__file__).parents[2]
    asked = ["make", "-n", "-B", "-C", str(root), ".venv/installed"]
    steps = subprocess.run(asked, capture_output=True, text=True).stdout
    command = re.search(r'filter\.nbstripout\.clean "(.+?)";', steps)[1]
    command = command.replace(f"{root}/.venv/bin/python", sys.executable)
    shutil.copy(root / ".gitattributes", tmp_path)
    notebook = json.loads((root / "notebooks/single_stage/02_masks.ipynb").read_text())
    path = tmp_path / "a.ipynb"
    shutil.copy(root / "notebooks/single_stage/02_masks.ipynb", path)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "-q"], ["config", "filter.nbstripout.clean", command], ["add", "."], ["commit", "-qm", "a"]):
        subprocess.run([*git, *words], check=True)
    assert subprocess.run([*git, "show", "HEAD:a.ipynb"], capture_output=True).stdout == path.read_bytes()
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    code[0].update(execution_count=3, outputs=[{"output_type": "stream", "name": "stdout", "text": "x"}])
    notebook["metadata"]["language_info"].update(version="3.11.9", mimetype="text/x-python", file_extension=".py")
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    for words in (["diff"], ["add", "-A"], ["status", "--porcelain"]):  # of another size, it is looked at by `add`
        assert subprocess.run([*git, *words], capture_output=True, text=True).stdout == ""
