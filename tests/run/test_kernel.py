"""Kernels: what papermill itself misses (reliability rows 12, 20, 23)."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.run.toy import Project, notebook

STARTS = int(os.environ.get("WSNB_TEST_STARTS", "6"))


@pytest.mark.parametrize("text", ["import sys\nsys.exit(0)", "raise SystemExit"])
def test_an_exit_is_no_success(project, text):
    project.single("stage.finish()", text, "never = 1")
    said = project.run(code=1)
    assert "stopped before its end" in said and not project.manifest("01_make")


def test_a_stage_that_never_finishes(project):
    project.single("x = 1")
    assert "never call stage.finish" in project.run(code=1)


def test_results_of_an_earlier_attempt_do_not_count(project):
    project.single(
        "if not (stage.folder / 'once').exists():\n    stage.finish()",
        "again = (stage.folder / 'once').exists()\n(stage.folder / 'once').touch()\nassert again",
    )
    assert "AssertionError" in project.run(code=1)
    assert "never call stage.finish" in project.run(code=1)


def test_code_edited_while_it_runs(project):
    path = project.root / "wsnb/ops/toy.py"
    project.single(
        f"from wsnb.ops import toy\nwith open({str(path)!r}, 'a') as file:\n    file.write('x = 1')\nstage.finish()"
    )
    assert "wsnb.ops.toy was edited while the stage ran" in project.run(code=1)


def test_a_parameter_reassigned_before_begin(project):
    project.edit(
        "01_make", "from wsnb.run.stage import Stage", "items = 3\nfrom wsnb.run.stage import Stage"
    )
    assert "items: assigned between" in project.run(code=1)


def run_watched(project):
    """Run the experiment: (exit code, peak of the runner's memory in MB)."""
    process = project.start("run", "toy/tiny", stdout=subprocess.DEVNULL)
    peak = 0
    time.sleep(0.3)  # until then the numbers may be those of this process, which it is forked from
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = max(
            [
                peak,
                *(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:")),
            ]
        )
        time.sleep(0.02)
    return process.returncode, peak


def test_a_flood_of_output(project):
    project.single("for i in range(1000):\n    print('x' * 99_999)", "stage.log('after')\nstage.finish()")
    code, peak = run_watched(project)
    assert code == 0
    kept = project.runs / "01_make/notebook.ipynb"
    size = kept.stat().st_size / 1e6
    print(f"100 MB printed: notebook {size:.1f} MB, runner {peak:.0f} MB")
    assert size < 6 and 50 < peak < 250
    assert kept.read_text().count("[output cut here: a cell may print 5 MB]") == 1


@pytest.mark.parametrize("cell", ["for _ in range(1000):\n    stage.log('x' * 99_999)",
                                  "stage.log('x' * 100_000_000)"])  # fmt: skip
def test_a_flood_in_the_log(project, cell):
    project.single(f"{cell}\nstage.finish()")
    code, peak = run_watched(project)
    log, kept = project.runs / "01_make/log.txt", project.runs / "01_make/notebook.ipynb"
    print(f"100 MB logged: log {log.stat().st_size / 1e6:.1f} MB, runner {peak:.0f} MB")
    assert code == 0 and log.stat().st_size < 6e6 and kept.stat().st_size < 6e6 and 50 < peak < 250
    assert log.read_text().count("[output cut here: a stage may log 5 MB]") == 1


def test_a_flood_in_an_error(project):
    project.single("raise ValueError('begin' + 'x' * 100_000_000 + 'end')")
    code, peak = run_watched(project)
    log, kept = project.runs / "01_make/log.txt", project.runs / "01_make/notebook.failed.ipynb"
    print(f"100 MB of an error's text: notebook {kept.stat().st_size / 1e6:.1f} MB, runner {peak:.0f} MB")
    assert code == 1 and 50 < peak < 250 and kept.stat().st_size < 1e6 and log.stat().st_size < 1e5
    assert "failed: ValueError: beginxxx" in log.read_text() and "99990008 characters are left out" in kept.read_text()


def test_a_flood_of_pictures_and_of_messages(project):
    project.single(
        "from IPython.display import HTML, display\nfor i in range(8):\n    display(HTML('x' * 10_000_000))",
        "import sys\nfor i in range(3000):\n    print(i, flush=True)",
        "stage.finish()",
    )
    project.run()
    text = (project.runs / "01_make/notebook.ipynb").read_text()
    assert 39e6 < len(text) < 52e6 and "a cell may hold 50 MB" in text
    printed = "".join(json.loads(text)["cells"][5]["outputs"][0]["text"])
    assert printed == "".join(f"{i}\n" for i in range(3000))


def test_many_at_once(project):
    project.single("stage.finish()")
    source = project.root / "params/toy/tiny.yaml"
    for i in range(STARTS):
        shutil.copy(source, source.with_name(f"n{i}.yaml"))
    began = time.monotonic()
    started = [project.start("run", f"toy/n{i}") for i in range(STARTS)]
    said = [process.communicate(timeout=600)[0] for process in started]
    failed = [text for process, text in zip(started, said, strict=True) if process.returncode]
    print(f"{STARTS} notebooks at once in {time.monotonic() - began:.0f} s, {len(failed)} failures")
    assert not failed, failed[0]


def test_another_file_system_and_a_read_only_data_root(project, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.txt").write_text("a")
    data.chmod(0o555)
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    words = ["run", "toy/tiny", "--data-root", str(data), "--until", "02_train", "--runs"]
    mount = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && ! touch "$0/x" 2> /dev/null && exec "$@"'
    own = ["unshare", "-rm", "sh", "-c", mount, data]  # root may write whatever chmod says
    with tempfile.TemporaryDirectory(dir=base) as runs:
        if subprocess.run([*own, "true"], check=False).returncode == 0:
            command = [*own, sys.executable, "-m", "wsnb.run.cli", *words, runs]
            done = subprocess.run(command, env=project.environment(), cwd=project.root, check=False)
            assert done.returncode == 0
        else:
            project.wsnb(*words, runs)
        assert "done already" in project.run("--runs", runs, "--data-root", str(data), "--until", "01_make")
        assert Path(runs, "toy/tiny/02_train/manifest.json").exists() and not project.runs.exists()
    data.chmod(0o755)


def test_awkward_paths(tmp_path):
    base = tmp_path / ("long " * 12) / "b{ra}ce %s ü"
    base.parent.mkdir()
    project = Project(base)
    project.single("stage.finish()")
    project.run(environment={"TMPDIR": str(base.parent)})
    assert project.manifest("01_make")


NAME_OF = """
from wsnb.files import load_json


def name_of(need):
    return load_json(stage.upstream(need) / "params.json")["stage"]


"""


def test_rounds(project):
    own = "round: int = 1\ngain: float = 2.0"
    project.write(
        "01_make",
        notebook(
            "01_make",
            own,
            f"{NAME_OF}before = name_of('02_use') if round > 1 else None",
            "stage.log(f'round {round} after {before}')",
            "stage.finish()",
            needs=["02_use"],
        ),
    )
    use = (f"{NAME_OF}stage.log(name_of('01_make'))", "stage.finish()")
    project.write("02_use", notebook("02_use", "", *use, needs=["01_make"]))
    project.yaml(
        "stages: [01_make, 02_use, 01_make@2, 02_use@2]\ndata_root: ''\nrun_dir: runs/toy/tiny\ndevice: cpu\n"
        "workers: 0\nseed: 0\ngain: 2\n"
    )
    assert "has to declare `round: int = 1`" in project.run(code=2)
    project.write("02_use", notebook("02_use", "round: int = 1", *use, needs=["01_make"]))
    text = project.run()
    assert "round 1 after None" in text and "round 2 after 02_use" in text
    assert [
        line.split()[-1] for line in text.splitlines() if line.startswith("[toy/tiny 02_use") and "results" not in line
    ] == ["01_make", "01_make@2"]


def test_log_lines_come_through(project):
    project.single(
        "import time\nfor _ in stage.progress(range(12), what='things'):\n    time.sleep(0.1)",
        "print('not this')",
        "stage.log('two\\nlines')\nstage.finish(notes={'a': [1]})",
    )
    text = project.run()
    assert (
        re.search(r" 12 things in \d+ s\n", text)
        and "[toy/tiny 01_make]" in text
        and "not this" not in text
        and " two\n[toy/tiny 01_make]          lines\n" in text
    )
    log = (project.runs / "01_make/log.txt").read_text()
    assert log.startswith("---- ") and "toy/tiny 01_make, key " in log and "\n         lines\n" in log
