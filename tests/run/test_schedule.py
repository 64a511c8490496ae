"""Several stages at a time, longest chains first; the plan for a scheduler; a command that starts fast."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.run import toy
from tests.run.test_cluster import MEET
from tests.run.test_kills import kernels, wait_for
from wsnb.run import schedule

HEAVY = {"torch", "pandas", "papermill", "nbclient", "matplotlib", "scipy", "jupyter_client", "sphinx"}


@pytest.mark.parametrize("words", [("--help",), ("list",), ("--version",), ("plan", "--help")])
def test_the_command_starts_without_large_libraries(words):
    code = (
        f"import sys, atexit\nfrom wsnb.run import cli\n"
        f"atexit.register(lambda: print('LOADED', *({HEAVY!r} & sys.modules.keys()), file=sys.stderr))\n"
        f"sys.exit(cli.main({list(words)!r}))"
    )
    ours, numpys = [], []
    for _ in range(3):  # the least of three: other work on the machine costs processor time too
        done, spent = processor_time(code)
        assert (done.returncode, done.stderr.split()) == (0, ["LOADED"])
        ours.append(spent)
        numpys.append(processor_time("import numpy")[1])
    print(f"wsnb {' '.join(words)}: {min(ours):.2f} s of a processor; to import NumPy: {min(numpys):.2f} s")
    assert min(ours) < max(0.3, 3.5 * min(numpys))  # 0.2 s and 0.1 s on an idle machine; a busy one is slower in both


def processor_time(code):
    """Run CODE in a new Python: the finished process, the seconds of a processor that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_a_run_that_waits_needs_little_memory():
    """What a run has loaded before its first kernel: all that a plan of the real experiments needs."""
    code = (
        f"import re, sys\nfrom pathlib import Path\nfrom wsnb.run import cli\n"
        f"code = cli.main(['run', '--all', '--dry-run'])\n"
        f"peak = re.search('VmHWM: *(.*) kB', Path('/proc/self/status').read_text().replace(chr(9), ' '))[1]\n"
        f"print(int(peak) // 1024, *({HEAVY!r} & sys.modules.keys()))\n"  # of getrusage the parent's would be a part
        f"sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    size, *heavy = done.stdout.splitlines()[-1].split()
    print(f"a run that waits: {size} MiB")
    assert not heavy and int(size) < 120


def chains(project):
    """Make 02_train and 02_other two stages that need 01_make only and wait for each other."""
    for mine, theirs in (("02_train", "02_other"), ("02_other", "02_train")):
        cell = MEET.format(mine=mine, theirs=theirs)
        project.write(mine, toy.notebook(mine, "", cell, "stage.finish()", needs=["01_make"]))
    project.yaml(toy.YAML.replace("02_train, 03_score", "02_train, 02_other")
                 .replace("steps: 6\n", "").replace("lr: 0.5\n", ""))


def test_stages_that_do_not_need_each_other_run_side_by_side(project):
    chains(project)
    project.run("--jobs", "2")
    assert all(project.manifest(name) for name in ("02_train", "02_other"))


def test_two_experiments_at_a_time_give_the_same_as_one(project, finished):
    project.yaml(toy.YAML.replace("seed: 0", "seed: 1"), "other")
    text = project.wsnb("run", "toy/tiny", "toy/other", "toy/tiny", "--jobs", "3")
    assert text.count("done in") == 6 and project.hashes() == finished.hashes()
    assert project.wsnb("run", "toy/tiny", "toy/other").count("done already") == 6


@pytest.mark.parametrize("count", ["1", "2"])
def test_a_failure_keeps_the_rest(project, count):
    project.yaml(toy.YAML.replace("seed: 0", "seed: 1"), "other")
    project.edit("02_train", "for step in", 'if seed == 0: raise OSError("no disk")\n    for step in')
    text = project.wsnb("run", "toy/tiny", "toy/other", "--jobs", count, code=1)
    assert "OSError: no disk" in text and "toy/tiny 03_score" not in text
    assert project.manifest("01_make") and not project.manifest("02_train")
    assert (project.root / "runs/toy/other/03_score/manifest.json").exists()


def test_an_experiment_in_use_keeps_the_rest(project):
    project.yaml(toy.YAML, "other")
    held = project.start("run", "toy/other", "-p", "pause=5")
    wait_for((project.root / "runs/toy/other/01_make/.computed").exists)
    assert "toy/other in" in project.wsnb("run", "toy/other", "toy/tiny", code=3)
    assert project.manifest("03_score")
    toy.kill(held)


def test_an_experiment_that_cannot_begin_ends_the_run_after_what_runs(project):
    project.yaml(toy.YAML, "other")
    project.yaml(toy.YAML.replace('data_root: ""', "data_root: missing"), "bad")
    text = project.wsnb("run", "toy/tiny", "toy/bad", code=2)
    assert "missing" in text and project.manifest("03_score")


def test_a_signal_reaches_all_stages_that_run(project):
    text = "(stage.folder / 'in').touch()\nimport time\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n"
    project.single(f"{text}    stage.log('saved')\n    raise")
    source = project.root / "params/toy/tiny.yaml"
    source.with_name("other.yaml").write_text(source.read_text().replace("seed: 0", "seed: 1"))  # else one key
    process = project.start("run", "toy/tiny", "toy/other", "--jobs", "2")
    logs = [project.root / f"runs/toy/{name}/01_make/log.txt" for name in ("tiny", "other")]
    wait_for(lambda: all(log.with_name("in").exists() for log in logs))
    process.terminate()
    process.communicate(timeout=120)
    assert process.returncode == 75 and not kernels(project)
    assert all("saved\n" in log.read_text() and "interrupted" in log.read_text() for log in logs)


def test_a_signal_ends_what_waits_for_a_gpu(project, tmp_path):
    """No kernel runs there that could save."""
    from wsnb.run import locks

    project.yaml(toy.YAML.replace("device: cpu", "device: cuda"))
    environment = {"CUDA_VISIBLE_DEVICES": "0", "WSNB_SLOTS": str(tmp_path)}
    with locks.acquire(tmp_path / "gpu-0.lock", "the test"):
        process = project.start("run", "toy/tiny", environment=environment)
        line = next(line for line in process.stdout if "waiting for a GPU" in line)
        assert f"process {os.getpid()}" in line
        process.terminate()
        process.communicate(timeout=120)
    assert process.returncode == 75


def job(name, needs=(), seconds=None):
    """A job of the experiment a/b."""

    class Item:
        parts = {"key": name}
        stage = type("Stage", (), {"name": name})

    recorded = {} if seconds is None else {"seconds": seconds}
    needed = frozenset(f"a/b {need}" for need in needs)
    return schedule.Job(type("Experiment", (), {"title": "a/b"}), Item, name, needed, recorded)


class NoInterrupts:
    """Nobody asks to stop."""

    asked = 0


def order(made, longest_first):
    """Names in the order in which one worker takes them."""
    queue, found = schedule.Queue(NoInterrupts, longest_first), []
    queue.add(made)
    queue.close()
    while (taken := queue.take()) is not None:
        found.append(taken.item.stage.name)
        queue.put_back(taken, True)
    return found


def test_the_longest_chain_begins_first():
    made = [job("short", seconds=500), job("first"), job("second", ["first"], 900), job("third", ["second"])]
    assert schedule.chain_seconds(made) == {"a/b third": 60, "a/b second": 960, "a/b first": 1020, "a/b short": 500}
    assert order(made, True) == ["first", "second", "short", "third"]
    assert order(made, False) == ["short", "first", "second", "third"]


def test_one_key_is_computed_once_at_a_time():
    queue = schedule.Queue(NoInterrupts, False)
    same = [job("one"), job("one")]
    queue.add([*same, job("two")])
    assert [queue.take().item.stage.name for _ in range(2)] == ["one", "two"]
    queue.put_back(same[0], True)
    assert queue.take() is same[1]


def test_what_needs_a_failed_job_never_begins():
    queue = schedule.Queue(NoInterrupts, False)
    queue.add([job("one"), job("two", ["one"]), job("three", ["two"]), job("four")])
    queue.close()
    queue.put_back(queue.take(), False)
    assert queue.take().item.stage.name == "four" and queue.take() is None


def test_the_plan_for_a_scheduler(project):
    said = project.wsnb("plan", "toy/tiny")
    assert said.count("would run: it never ran") == 3
    project.run("--until", "01_make")
    train, score = json.loads(project.wsnb("plan", "--json", "toy/tiny", "-p", "lr=0.25"))["stages"]
    assert (train["rule"], train["title"]) == ("toy__tiny__02_train", "toy/tiny 02_train")
    assert (train["after"], score["after"]) == ([], [train["done"]])
    assert (train["threads"], train["gpus"], train["mem_mb"], train["runtime"]) == (1, 0, None, None)
    subprocess.run(train["command"], shell=True, check=True, env=project.environment(), stdout=subprocess.DEVNULL)
    assert project.manifest("02_train")["params"]["lr"] == 0.25


def test_an_earlier_run_says_how_much_a_stage_needs(finished):
    record = finished.manifest("02_train")
    finished.edit("02_train", 'w": 1.0', 'w": 1.5')
    row, _ = json.loads(finished.wsnb("plan", "--json", "toy/tiny"))["stages"]
    assert row["runtime"] == 10 and row["mem_mb"] * 2**20 >= record["peak_cpu_bytes"] * 1.5 and row["disk_mb"] == 1
    assert row["rule"] == "toy__tiny__02_train"  # as when 01_make had to run, too
    row = json.loads(finished.wsnb("plan", "--json", "toy/tiny", "-p", "steps=600"))["stages"][0]
    assert row["runtime"] is None and row["mem_mb"] is None


def test_all_leaves_out_what_its_header_sets_apart(project):
    for name, header in (("shapes_a", ""), ("shapes_b", "# Toy.\n# Apart: it is slow.\n"), ("other", "")):
        project.yaml(header + toy.YAML, name)
    rows = json.loads(project.wsnb("plan", "--json", "--all", "--until", "01_make"))["stages"]
    assert [row["title"] for row in rows] == ["toy/shapes_a 01_make"]
