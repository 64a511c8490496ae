"""Faults of the disk: never half a file under a final name (reliability rows 4 and 8)."""

import json
import os
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.run.toy import MAKE
from wsnb.files import FileError, load_json, load_npz, read_index, save_json, save_npz, save_png
from wsnb.run import execute, manifest
from wsnb.run.stage import Stage

PARAMS = {
    "data_root": "",
    "run_dir": "runs/toy/tiny",
    "device": "cpu",
    "workers": 0,
    "seed": 0,
    "items": 5,
    "pause": 0.0,
}


class Notebook(dict):
    """Stands for an executed notebook."""

    metadata = {}


def job(root):
    """All kinds of files that a stage and its runner write, for two seeds."""
    for turn in range(2):
        stage = Stage.begin("toy", "01_make", {**PARAMS, "seed": turn})
        save_json(stage.folder / "item.json", {"turn": turn, "text": "x" * 5000})
        save_png(stage.folder / "mask.png", np.full((50, 50), turn, np.uint8))
        save_npz(stage.folder / "scores.npz", scores=np.full((9, 9), turn))
        stage.finish(results=[{"name": "x", "value": 1.0, "unit": "%"}])
        execute._save_notebook(root, Notebook(cells=["x" * 5000]), stage.folder / "notebook.ipynb", root / "x")
        manifest.write(stage.folder, load_json(stage.folder / manifest.RESULTS))


def check(project):
    """Whatever has its final name is whole, and a manifest's files match it, in all of the store."""
    readers = {".json": load_json, ".ipynb": load_json, ".png": read_index, ".npz": load_npz}
    for folder in (project.root / "runs/.store").glob("[!.]*"):
        for path in folder.rglob("[!.]*"):
            if path.suffix in readers:
                readers[path.suffix](path)
        record = manifest.read(folder)
        assert record is None or manifest.problems(folder, record, full=True) == []


def faulty(root, number, how):
    """Run job() in a child whose NUMBER-th fsync or rename fails; returns how many there were, or None if it
    failed.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        count = [0]

        def breaking(function):
            def call(*arguments):
                if count[0] == number:
                    if how == "dies":
                        os._exit(9)
                    raise OSError(28, "No space left on device")
                count[0] += 1
                return function(*arguments)

            return call

        os.fsync, os.replace, os.rename = breaking(os.fsync), breaking(os.replace), breaking(os.rename)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        try:
            job(root)
        except (OSError, FileError):
            os._exit(8)
        os.write(writer, str(count[0]).encode())
        os._exit(0)
    os.close(writer)
    _, status = os.waitpid(pid, 0)
    with open(reader) as pipe:
        text = pipe.read()
    assert os.waitstatus_to_exitcode(status) in (0, 8, 9)
    return int(text) if text else None


@pytest.mark.parametrize("how", ["fails", "dies"])
def test_fault_at_every_fsync_and_rename(project, how, monkeypatch):
    monkeypatch.setenv("WSNB_ROOT", str(project.root))
    place = project.runs / "01_make"
    total = faulty(project.root, -1, how)
    assert total > 30
    for number in range(total):
        shutil.rmtree(project.root / "runs")
        assert faulty(project.root, number, how) is None
        check(project)
        assert faulty(project.root, -1, how) is not None
        check(project)
    assert manifest.read(place) is not None
    print(f"{total} faults ({how}), no damaged file")


def limit(size):
    """Let no file grow beyond SIZE bytes, as on a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_disk_full_in_a_stage(project):
    project.edit(
        "02_train", "stage.finish()", "save_json(stage.folder / 'big.json', 'x' * 400_000)\nstage.finish()"
    )
    text = project.run("--until", "02_train", preexec_fn=limit(200_000), code=1)
    assert "NoRoom: " in text and "big.json: cannot be written (File too large); it needs more than" in text
    assert "notebook.failed.ipynb" in text
    before = project.manifest("01_make")
    assert before and manifest.problems(project.runs / "01_make", before, full=True) == []
    assert not project.manifest("02_train") and not (project.runs / "02_train/big.json").exists()
    assert "FAILED" not in project.run("--until", "02_train") and project.manifest("01_make") == before


def test_disk_full_in_a_run(project, tmp_path):
    """The runs lie on a disk of 1 MB, which the second stage fills."""
    runs = tmp_path / "disk"
    runs.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", runs], capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    try:
        project.edit("02_train", "stage.finish()", "save_json(stage.folder / 'big.json', 'x' * size)\nstage.finish()")
        project.edit("02_train", "pause: float = 0.0", "pause: float = 0.0\nsize: int = 2_000_000")
        words = ("--runs", str(runs), "--until", "02_train")
        text = project.run(*words, code=1)
        assert "big.json: cannot be written (No space left on device); it needs more than" in text, text
        assert (runs / "toy/tiny/01_make/manifest.json").exists() and not list(runs.rglob("big.json*"))
        text = project.run(*words, "-p", "size=9")
        assert "01_make (1/2): done already" in text and (runs / "toy/tiny/02_train/manifest.json").exists()
    finally:
        subprocess.run(["umount", runs], check=True)


def test_disk_full_when_the_notebook_is_kept(project):
    project.single("import base64, os\nprint(base64.b64encode(os.urandom(30_000)).decode())\nstage.finish()")
    text = project.run(preexec_fn=limit(25_000), code=1)
    assert "FAILED" in text and "File too large" in text and "could not be kept" in text
    check(project)
    assert not list((project.runs / "01_make").glob("*.ipynb"))
    project.run()


def test_a_failing_cell_is_told_whole(project):
    project.edit(
        "02_train",
        "for step in",
        "raise ValueError('loss is NaN at step 3,\\nlr 0.5, images a b')\n    for step in",
    )
    text = project.run(code=1)
    failed = text[text.index("FAILED") :]
    assert "ValueError: loss is NaN at step 3,\n" in failed and "lr 0.5, images a b" in failed
    assert (
        "02_train/log.txt" in failed and "02_train/notebook.failed.ipynb" in failed and "continue" in failed
    )
    kept = json.loads((project.runs / "02_train/notebook.failed.ipynb").read_text())
    assert any(
        output["output_type"] == "error" for cell in kept["cells"] for output in cell.get("outputs", [])
    )
    assert "03_score" not in text and len(MAKE) == 3


def test_a_list_whose_reader_has_left_is_no_fault(project):
    reader, writer = os.pipe()
    os.close(reader)
    process = project.start("list", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (process.communicate(timeout=120)[1], process.returncode) == ("", 0)


FILL = """
import json, sys, torch
from pathlib import Path
from wsnb.files import FileError, save_json, save_torch
folder = Path(sys.argv[1])
save_torch(folder / "training.pt", {"a": torch.ones(50_000)})
for save, name, value in ((save_torch, "training.pt", {"a": [torch.zeros(500_000)]}),
                          (save_json, "item.json", "x" * 2_000_000)):
    try:
        save(folder / name, value)
    except FileError as error:
        print(error)
print(torch.load(folder / "training.pt")["a"].sum().item(), sorted(path.name for path in folder.iterdir()))
"""


@pytest.mark.parametrize("how", ["small disk", "limit of size"])
def test_disk_full_in_a_checkpoint_is_one_sentence(tmp_path, how):
    folder = tmp_path / "disk"
    folder.mkdir()
    small = how == "small disk"
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
    if small and subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    try:
        done = subprocess.run([sys.executable, "-c", FILL, folder], capture_output=True, text=True, check=True,
                              preexec_fn=None if small else limit(1_000_000))  # fmt: skip
    finally:
        if small:
            subprocess.run(["umount", folder], check=True)
    first, second, kept = done.stdout.splitlines()
    said = "No space left on device" if small else "File too large"
    assert first.startswith(f"{folder}/training.pt: cannot be written ({said}); it needs 2.00 MB, "), first
    assert "MB are free there: make room and start again" in first
    assert f"{folder}/item.json: cannot be written ({said}); it needs more than " in second, second
    assert kept == "50000.0 ['training.pt']"
