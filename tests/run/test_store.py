"""The store: one folder a key, links to it, and nothing damaged in it is reused."""

import os
import signal

import pytest

from tests.run import toy
from tests.run.test_interactive import cells, papermill, shell
from tests.run.test_kills import wait_for
from wsnb.files import FileError
from wsnb.run import contents, fingerprint, store
from wsnb.run.stage import Stage, StageError

OTHER = toy.YAML.replace("lr: 0.5", "lr: 0.25")


def entries(project):
    """Names in the store."""
    return sorted(path.name for path in (project.root / "runs/.store").glob("[!.]*"))


def computed(project, experiment="tiny"):
    """How many items of 01_make were computed."""
    return len((project.root / f"runs/toy/{experiment}/01_make/.computed").read_text().split())


def test_a_stage_is_a_relative_link_to_its_key(finished):
    for stage in ("01_make", "02_train", "03_score"):
        assert os.readlink(finished.runs / stage) == f"../../.store/{finished.manifest(stage)['key']}"
    assert len(entries(finished)) == 3


def test_another_value_and_back_computes_nothing(finished):
    assert "lr: 0.5 -> 0.25" in finished.run("-p", "lr=0.25")
    assert finished.manifest("02_train")["params"]["lr"] == 0.25 and len(entries(finished)) == 5
    assert finished.run().count("done already") == 3
    assert finished.manifest("02_train")["params"]["lr"] == 0.5 and len(entries(finished)) == 5


def test_experiments_share_a_stage(finished):
    finished.yaml(OTHER, "other")
    text = finished.wsnb("run", "toy/other")
    assert "toy/other 01_make (1/3): done already" in text and text.count("runs, because") == 2
    one, two = (finished.root / f"runs/toy/{name}/01_make" for name in ("tiny", "other"))
    assert one.resolve() == two.resolve() and len(entries(finished)) == 5
    assert finished.wsnb("status").count("01_make                  finished") == 2


def test_a_killed_stage_continues_after_another_value(project):
    project.hold("item 2")
    process = project.start("run", "toy/tiny")
    wait_for((project.runs / "01_make/1.json").exists)
    toy.kill(process)
    project.hold()
    project.run("--until", "01_make", "-p", "items=3")
    assert computed(project) == 3
    assert "it continues" in project.run("--until", "01_make")
    assert computed(project) <= 6


def test_two_runs_at_once_on_one_key(project, finished):
    project.yaml(toy.YAML, "other")
    project.hold("item 1")
    first = project.start("run", "toy/tiny")
    wait_for((project.runs / "01_make/.computed").exists)
    second = project.start("run", "toy/other")
    text = next(line for line in second.stdout if "waiting: " in line)
    assert f"waiting: {project.root}/runs/toy/other/01_make is in use by process {first.pid}" in text
    project.hold()
    for process in (first, second):
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
    assert computed(project) == 5 and len(entries(project)) == 3
    assert project.hashes() == finished.hashes()


def test_one_that_waits_computes_if_the_other_is_killed(project, finished):
    project.yaml(toy.YAML, "other")
    project.hold("item 1")
    first = project.start("run", "toy/tiny")
    wait_for((project.runs / "01_make/.computed").exists)
    second = project.start("run", "toy/other")
    wait_for((project.root / "runs/toy/other/01_make").is_symlink)
    toy.kill(first)
    project.hold()
    said, _ = second.communicate(timeout=120)
    assert second.returncode == 0, said
    assert computed(project) <= 6 and project.run().count("done already") == 3
    assert project.hashes() == finished.hashes()


def test_one_that_waits_can_be_interrupted(project):
    project.yaml(toy.YAML, "other")
    project.hold("item 0")
    first = project.start("run", "toy/tiny")
    wait_for((project.runs / "01_make/.computed").exists)
    second = project.start("run", "toy/other")
    wait_for((project.root / "runs/toy/other/01_make").is_symlink)
    second.send_signal(signal.SIGTERM)
    assert second.communicate(timeout=120) and second.returncode == 75
    toy.kill(first)


@pytest.mark.parametrize("damage", ["other size", "truncated", "other bytes", "missing", "more", "manifest"])
def test_damaged_results_are_computed_from_scratch(finished, damage):
    before, folder = finished.hashes(), finished.runs / "01_make"
    path = {"more": folder / "7.json", "manifest": folder / "manifest.json"}.get(damage, folder / "2.json")
    text = path.read_text() if path.exists() else ""
    times = os.stat(folder / "2.json")
    path.write_text(
        {"other size": '{"value": 0.123}', "truncated": text[:-9], "other bytes": text.replace("5", "4"),
         "more": "{}", "manifest": "{"}.get(damage, "")
    )
    if damage == "missing":
        path.unlink()
    arguments = []
    if damage == "other bytes":  # with the times of the file before: only --verify reads it
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert finished.run().count("done already") == 3
        arguments = ["--verify"]
    reason = {"other size": "2.json has 16 bytes", "truncated": "2.json has", "other bytes": "2.json was changed",
              "missing": "2.json is missing", "more": "7.json is not in its manifest", "manifest": "cannot be read"}
    said = finished.run(*arguments)
    assert f"01_make (1/3): runs, because {'' if damage != 'manifest' else finished.root}" in said
    assert said.count(reason[damage]) == 2 and "set aside as .store/" in said  # why it runs, and what is set aside
    assert computed(finished) == 5 and said.count("done already") == 2
    assert finished.hashes() == before and finished.run("--verify").count("done already") == 3


def test_every_damage_of_every_file_is_seen(finished):
    """Other sizes and missing or added files at each start, other content under the old times with --verify."""
    seen, folders = {"at each start": 0, "with --verify": 0}, [path.resolve() for path in finished.runs.glob("0*")]
    for folder in folders:
        for name in store.examine(folder)[0]["files"]:
            path, times = folder / name, os.stat(folder / name)
            whole = path.read_bytes()
            flipped = bytes([whole[0] ^ 1]) + whole[1:]
            for damage in (whole[:-1], b"", whole + b" ", None, flipped, whole[::-1]):
                if damage is None:
                    path.unlink()
                else:
                    path.write_bytes(damage)
                    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
                hidden = damage is not None and len(damage) == len(whole) and name != "results.json"
                faults = store.examine(folder, verify=hidden)[1]
                assert len(faults) == 1 and name in faults[0], (name, damage)
                seen["with --verify" if hidden else "at each start"] += 1
                path.write_bytes(whole)
                os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert store.examine(folder, verify=True)[1] == []
    print("damages seen:", ", ".join(f"{count} of {count} {when}" for when, count in seen.items()))
    assert len(folders) == 3 and min(seen.values()) > 20


def test_a_damaged_stage_is_not_read_by_a_later_one(finished, monkeypatch):
    monkeypatch.setenv("WSNB_ROOT", str(finished.root))
    values = {"data_root": "", "run_dir": "runs/toy/tiny", "device": "cpu", "workers": 0, "seed": 0, "steps": 6,
              "lr": 0.5, "pause": 0.0}
    stage = Stage.begin("toy", "02_train", values)
    path = finished.runs / "01_make/2.json"
    whole = path.read_text()
    path.write_text(whole[:-3])
    with pytest.raises(StageError, match=f"01_make is damaged: 2.json has {len(whole) - 3} bytes instead of"):
        stage.upstream("01_make")
    path.write_text(whole)
    assert stage.upstream("01_make").name == finished.manifest("01_make")["key"]
    with pytest.raises(FileError, match="network.json: not as its stage left it: other.json is not in its manifest"):
        (path.parent / "other.json").write_text("{}")
        fingerprint.file_fingerprint(path.with_name("network.json"), contents.Contents())


@pytest.mark.parametrize("place", [".", "masks"])
def test_nothing_is_written_through_a_link(tmp_path, place):
    folder, other = tmp_path / "runs/.store" / ("a" * 64), tmp_path / "mine"
    other.mkdir()
    (folder / place).parent.mkdir(parents=True)
    (folder / place).symlink_to(other)
    with pytest.raises(FileError, match="a link to .*mine, where a stage would write; remove the link"):
        store.open_folder(folder)
    assert not list(other.iterdir())
    (folder / place).unlink()
    assert store.open_folder(folder) == "" and folder.is_dir()


def test_a_place_that_cannot_become_a_link(project, tmp_path, monkeypatch):
    (project.runs / "01_make").mkdir(parents=True)
    (project.runs / "01_make/mine.txt").write_text("x")
    assert "01_make: cannot become a link into .store" in (text := project.run(code=2)) and "move it away" in text
    assert (project.runs / "01_make/mine.txt").read_text() == "x"

    def none(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.symlink_to", none)
    with pytest.raises(FileError, match="--runs DIR"):
        store.link(tmp_path / "a/b/01_make", tmp_path / ".store/k")


TAKEN = """stages: [01_make: toy/other, 02_train, 03_score]
run_dir: runs/toy/tiny
device: cpu
workers: 0
data_root: ""
seed: 0
pause: 0.0
steps: 6
lr: 0.5
"""


def test_a_stage_of_another_experiment(project):
    project.yaml(TAKEN)
    project.yaml(toy.YAML.replace("items: 5", "items: 4"), "other")
    assert "01_make is not finished; run `wsnb run toy/tiny --until 01_make`" in papermill(project, "02_train").stderr
    project.run()
    assert project.manifest("01_make")["params"]["items"] == 4
    assert project.manifest("02_train")["parts"]["upstream"] == {"01_make": project.manifest("01_make")["key"]}
    assert not (project.root / "runs/toy/other").exists()
    assert "toy/other 01_make (1/3): done already" in project.wsnb("run", "toy/other")
    done = papermill(project, "02_train")
    assert done.returncode == 0 and "not counted" not in done.stderr
    project.yaml(toy.YAML.replace("items: 5", "items: 3"), "other")
    text = project.run("--dry-run")
    assert "01_make: would run: items: 4 -> 3" in text and "02_train: would run: upstream 01_make changed" in text
    project.run("-p", "items=2")  # as any stage of the chain
    assert project.manifest("01_make")["params"]["items"] == 2


def test_the_stages_that_a_stage_of_another_experiment_needs(project):
    """02_train of the other experiment has its own 01_make, which has no place among this one's stages."""
    project.yaml(TAKEN.replace("01_make: toy/other, 02_train", "02_train: toy/other")
                 .replace("pause: 0.0\nsteps: 6\nlr: 0.5\n", ""))
    project.yaml(OTHER, "other")
    text = project.run()
    assert "toy/other 01_make, for toy/tiny 02_train (1/2): runs" in text and "toy/tiny 02_train (1/2): runs" in text
    assert not (project.runs / "01_make").exists() and project.manifest("02_train")["params"]["lr"] == 0.25
    assert "0.0 MB that no experiment points to" in project.wsnb("clean")  # 01_make is needed
    assert project.wsnb("run", "toy/other", "--until", "02_train").count("done already") == 2


@pytest.mark.parametrize(("stages", "said"), [
    ("01_make: toy/none", "no experiment toy/none; did you mean"),
    ("01_make: toy/tiny", "has a stage of toy/tiny"),
    ("01_make: toy/other, 01_make@2: toy/other", "it has no stage 01_make@2; did you mean '01_make'"),
    ("01_make: other", "PAPER/NAME"),
])
def test_no_such_stage_of_another_experiment(project, stages, said):
    project.yaml(TAKEN.replace("01_make: toy/other", stages))
    project.yaml(toy.YAML, "other")
    assert said in project.run(code=2) and not (project.root / "runs").exists()


def test_seeds_side_by_side(finished):
    text = finished.run("--seeds", "0,2-3")
    assert text.count("done already") == 3  # seed 0 is the experiment's own
    runs = finished.root / "runs/toy"
    assert sorted(path.name for path in runs.iterdir()) == ["tiny", "tiny@seed2", "tiny@seed3"]
    project = toy.Project.__new__(toy.Project)
    project.root, project.name = finished.root, "tiny@seed3"
    assert project.manifest("03_score")["seed"] == 3 and project.manifest("03_score")["experiment"] == "tiny@seed3"
    assert "toy/tiny@seed2\n" in finished.wsnb("status")
    assert "seed is given twice" in finished.run("--seeds", "1", "-p", "seed=2", code=2)
    assert "write 0-4 or 0,3" in finished.run("--seeds", "4-0", code=2)
    first, begin, *others = cells(finished, "01_make")
    shell(finished, [first, 'run_dir, seed = "runs/toy/tiny@seed3", 3', begin, *others])
    assert "toy/tiny@seed3 01_make (1/3): done already" in finished.wsnb("run", "toy/tiny@seed3")


def test_seeds_share_the_stages_without_one(project):
    project.edit("01_make", "seed: int = 0", "start: int = 0")
    project.edit("01_make", "toy.item(seed", "toy.item(start")
    project.yaml(toy.YAML + "start: 0\n")
    text = project.run("--seeds", "0-1")
    assert "toy/tiny@seed1 01_make (1/3): done already" in text and text.count("runs, because") == 5


def test_clean(finished):
    assert finished.wsnb("clean", "--yes") == "0.0 MB deleted\n" and len(entries(finished)) == 3
    finished.run("-p", "lr=0.25")
    (finished.runs / "01_make/2.json").write_text("{}")
    finished.run("-p", "lr=0.25")
    said = finished.wsnb("clean").splitlines()
    assert len(said) == 4 and sum("toy/tiny" in line and " MB " in line for line in said) == 3
    assert len(entries(finished)) == 6
    finished.hold("item 0")
    process = finished.start("run", "toy/tiny", "-p", "items=9")
    wait_for(lambda: not finished.manifest("01_make") and (finished.runs / "01_make/.computed").exists())
    assert "is in use by process" in finished.wsnb("clean", "--yes", code=3) and len(entries(finished)) == 7
    toy.kill(process)
    finished.hold()
    finished.run("-p", "lr=0.25")
    assert "deleted" in finished.wsnb("clean", "--yes")
    assert len(entries(finished)) == 3 and finished.run("-p", "lr=0.25", "--verify").count("done already") == 3
    assert entries(finished) == sorted(finished.manifest(stage)["key"] for stage in ("01_make", "02_train", "03_score"))
