"""`--engine snakemake`: the same stages, side by side where they may be, with kills, failures and no second truth."""

import json
import shutil
import signal
from pathlib import Path

import psutil
import pytest

from tests.run import toy
from tests.run.test_kills import wait_for
from wsnb.run import experiments, plan, schedule

pytest.importorskip("snakemake", reason="snakemake is not installed: pip install -e .[cluster]")
ENGINE = ("--engine", "snakemake")


@pytest.fixture
def project(project):
    shutil.copy(Path(__file__).parents[2] / "Snakefile", project.root / "Snakefile")
    return project


def test_the_same_artefacts_as_one_after_the_other(project, finished):
    text = project.run(*ENGINE)
    assert "done; results are in" in text and not list((project.root / "runs/.snakemake").iterdir())
    assert project.hashes() == finished.hashes()
    again = project.run(*ENGINE)  # by the manifests, not by what Snakemake remembers
    assert again.count("done already") == 3 and "Building DAG" not in again
    assert project.run().count("done already") == 3  # nor does the serial runner run anything


def test_only_what_is_not_finished(project):
    project.run("--until", "01_make")
    project.run("-p", "lr=0.25", *ENGINE)
    assert project.manifest("02_train")["params"]["lr"] == 0.25
    first = (project.runs / "01_make/.computed").read_text()
    project.edit("03_score", "score = load_json", "score = 0 + load_json")
    text = project.run("-p", "lr=0.25", *ENGINE)
    assert text.count("done already") == 2 and "03_score: will run, because code of the notebook" in text
    assert (project.runs / "01_make/.computed").read_text() == first


MEET = """
import time
(stage.folder.parent / "met-{mine}").touch()
for _ in range(600):
    if (stage.folder.parent / "met-{theirs}").exists():
        break
    time.sleep(0.1)
else:
    raise RuntimeError("alone")
"""


def test_stages_that_do_not_need_each_other_run_side_by_side(project):
    for mine, theirs in (("02_train", "02_other"), ("02_other", "02_train")):
        project.write(mine, toy.notebook(mine, "", MEET.format(mine=mine, theirs=theirs), "stage.finish()",
                                         needs=["01_make"]))
    project.yaml(toy.YAML.replace("02_train, 03_score", "02_train, 02_other")
                 .replace("steps: 6\n", "").replace("lr: 0.5\n", ""))
    project.run(*ENGINE, "--jobs", "2")
    assert all(project.manifest(name) for name in ("02_train", "02_other"))


def test_a_failure_keeps_the_rest_and_the_same_command_continues(project):
    project.yaml(toy.YAML.replace("seed: 0", "seed: 1"), "other")
    project.edit("02_train", "for step in", 'if seed == 0: raise OSError("no disk")\n    for step in')
    text = project.wsnb("run", "toy/tiny", "toy/other", *ENGINE, code=1)
    assert "OSError: no disk" in text and "the same command continues" in text
    assert project.manifest("01_make") and not project.manifest("02_train")
    assert (project.root / "runs/toy/other/03_score/manifest.json").exists()
    project.edit("02_train", 'raise OSError(\"no disk\")', "pass")
    project.wsnb("run", "toy/tiny", "toy/other", *ENGINE)
    assert project.manifest("03_score")


def test_a_signal_reaches_the_stage_and_the_next_call_continues(project, finished):
    project.hold("step 2")
    process = project.start("run", "toy/tiny", *ENGINE)
    wait_for((project.runs / "02_train/state.json").exists)
    process.send_signal(signal.SIGTERM)
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 75, text
    assert "saved at an interrupt" in (project.runs / "02_train/log.txt").read_text()
    assert not project.manifest("02_train")
    project.hold()
    project.run(*ENGINE)
    assert project.hashes() == finished.hashes()


def test_after_a_kill_of_snakemake_and_one_of_the_runner_nothing_runs_or_is_locked(project, finished):
    project.hold("step 2")
    process = project.start("run", "toy/tiny", *ENGINE)
    wait_for((project.runs / "02_train/state.json").exists)
    engine, = (one for one in psutil.Process(process.pid).children() if "snakemake" in one.cmdline())
    jobs = engine.children(recursive=True)
    engine.kill()
    text, _ = process.communicate(timeout=60)  # the jobs would hold its output
    assert process.returncode == 1 and "the same command continues" in text
    assert jobs and not psutil.wait_procs(jobs, timeout=30)[1]
    project.hold("step 4")
    process = project.start("run", "toy/tiny", *ENGINE)
    wait_for(lambda: json.loads((project.runs / "02_train/state.json").read_text())["step"] == 4)
    toy.kill(process)
    project.hold()
    project.run(*ENGINE)
    assert project.hashes() == finished.hashes()


def test_a_second_run_is_refused(project):
    project.hold("item 1")
    process = project.start("run", "toy/tiny", *ENGINE)
    wait_for((project.runs / "01_make/0.json").exists)
    assert "is in use by process" in project.run(code=3)
    assert "is in use by process" in project.run(*ENGINE, code=3)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)


def test_one_stage_alone(project):
    said = project.run("--only", "02_train", code=2)
    assert "--only 02_train: needs 01_make, which is not finished (it never ran)" in said
    project.run("--only", "01_make")
    assert "02_train (2/2): done" in project.run("--only", "02_train")
    assert not project.manifest("03_score")


def test_a_stage_alone_is_its_first_round_unless_another_is_named(tmp_path):
    """A job of the first round would else be one of the last, and wait for itself."""
    root = Path(__file__).parents[2]
    experiment = experiments.load(root, "simple_does_it", "shapes_semantic")
    for name in ("07_train", "07_train@2"):
        assert plan.last_stage(experiment, schedule.Options(root, tmp_path, only=name).last) == name
    assert plan.last_stage(experiment, schedule.Options(root, tmp_path, until="07_train").last) == "07_train@2"


@pytest.mark.parametrize("words, said", [
    (("--only", "9"), "no such stage"),
    (("--only", "01_make", "--until", "01_make"), "--only: it goes with one experiment"),
    (("--profile", "x"), "it goes with --engine snakemake"),
    (("--jobs", "0"), "use 1 or more"),
    ((*ENGINE, "-p", "lrr=1"), "lrr"),
])
def test_refused_before_anything_starts(project, words, said):
    assert said in project.run(*words, code=2)
    assert not project.runs.exists()


def test_without_snakemake_it_says_what_to_install(project):
    hidden = project.root / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util as u\nreal = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'snakemake' else real(name, *a)\n")
    text = project.run(*ENGINE, code=2, environment={"PYTHONPATH": f"{hidden}:{project.root}"})
    assert "pip install -e '.[cluster]'" in text


def test_a_profile_is_passed_on(project):
    profile = project.root / "profile"
    profile.mkdir()
    (profile / "config.yaml").write_text("dry-run: true\n")
    text = project.run(*ENGINE, "--profile", str(profile))
    assert "dry-run" in text.lower() or "dry run" in text.lower()
    assert not project.manifest("01_make")


def test_a_dry_run_shows_the_plan_of_snakemake(project):
    text = project.run(*ENGINE, "--dry-run")
    for name in ("01_make", "02_train", "03_score"):
        assert f"rule toy__tiny__{name}:" in text and f"toy/tiny --only {name}" in text
    assert "resources:" in text and not project.runs.exists()
    project.run()
    assert "nothing to run" in project.run(*ENGINE, "--dry-run")


ON_A_GPU = MEET + """
import os
from wsnb.files import save_json
save_json(stage.folder / "host.json", [os.environ["CUDA_VISIBLE_DEVICES"], os.environ["SLURM_JOB_ID"]])
"""
ONCE = """
flag = stage.root / "failed once"
if not flag.exists():
    flag.touch()
    raise OSError("a node was lost")
"""


def test_on_two_hosts_that_share_a_folder_and_show_each_job_gpu_0(project, tmp_path):
    """Jobs with a GPU each run side by side, a lost one is tried again, and nothing that stays names a host's files."""
    for mine, theirs in (("02_train", "02_other"), ("02_other", "02_train")):
        project.write(mine, toy.notebook(mine, "", ON_A_GPU.format(mine=mine, theirs=theirs), "stage.finish()",
                                         needs=["01_make"]))
    project.write("03_score", toy.notebook("03_score", "", ONCE, "stage.finish()", needs=["02_train", "02_other"]))
    project.yaml(toy.YAML.replace("02_train, ", "02_train, 02_other, ").replace("device: cpu", "device: auto")
                 .replace("steps: 6\n", "").replace("lr: 0.5\n", ""))
    profile, queue = project.root / "profiles/queue", tmp_path / "hosts"
    profile.mkdir(parents=True), queue.mkdir()
    (profile / "config.yaml").write_text("executor: queue\nretries: 1\nseconds-between-status-checks: 1\n"
                                         "default-resources:\n  mem_mb: 100\n  disk_mb: 100\n")
    plugin = Path(__file__).with_name("queue")
    text = project.run(*ENGINE, "--jobs", "3", "--profile", str(profile),
                       environment={"QUEUE": str(queue), "PYTHONPATH": f"{plugin}:{project.root}"})
    assert "done; results are in" in text, text
    jobs = [json.loads(line) for line in (queue / "jobs.jsonl").read_text().splitlines()]
    assert [job["rule"].rpartition("__")[2] for job in jobs].count("03_score") == 2 and len(jobs) == 5
    assert all(job["gpu"] == 1 and job["cpus_per_task"] == job["threads"] == 1 for job in jobs)
    seen = [json.loads((project.runs / name / "host.json").read_text()) for name in ("02_train", "02_other")]
    assert [gpu for gpu, _ in seen] == ["0", "0"] and seen[0][1] != seen[1][1]
    shared = [path for path in project.root.rglob("*") if path.is_file() and "wsnb/run" not in str(path)]
    assert not [path for path in shared if str(queue).encode() in path.read_bytes()]
    shutil.rmtree(queue)
    assert project.run().count("done already") == 4


def test_the_profiles_are_read(project):
    """Snakemake knows each of their settings but those of a scheduler's own plugin."""
    for name in ("slurm", "kubernetes"):
        text = (Path(__file__).parents[2] / f"profiles/{name}/config.yaml").read_text()
        own = ("executor:", "kubernetes-", "default-storage-", "container-image:")
        profile = project.root / f"profiles/{name}"
        profile.mkdir(parents=True)
        (profile / "config.yaml").write_text("".join(line + "\n" for line in text.splitlines()
                                                     if not line.startswith(own)))
        said = project.run(*ENGINE, "--dry-run", "--profile", str(profile))
        assert said.count("rule toy__tiny__") == 3 and "mem_mb=8000" in said and "runtime=240" in said
