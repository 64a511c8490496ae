"""Parameters: everything wrong is refused before a kernel starts, with the remedy (reliability rows 13 and 14)."""

import re
import shutil
from pathlib import Path

import pytest

from tests.run.toy import YAML
from wsnb.run import notebooks, params
from wsnb.run.cli import main
from wsnb.run.params import ParamsError

CELL = """lr: float = 1e-3  # step size
n: int = -2
names: list[str] = ["a", "b"]  # which
scales: list[float] = [1, 0.5]
flip: bool = True
weights: str = "imagenet"  # or a file"""


@pytest.fixture(scope="module")
def declared():
    return params.parse_cell(CELL, "toy")


def test_cell(declared):
    assert declared["lr"] == params.Param("lr", "float", 1e-3, "step size")
    assert declared["n"].default == -2 and declared["n"].help == ""
    assert declared["scales"].default == [1.0, 0.5] and type(declared["scales"].default[0]) is float


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("a = 1", "expected `name: type"),
        ("a: int = b", "derived"),
        ("a: int = 1 + n", "derived"),
        ("a: tuple = ()", "allowed are"),
        ("a: int = 1.5", "whole number"),
        ("a: int = 1\na: int = 2", "twice"),
        ("import os", "expected"),
        ("a: int =", "parse"),
        ("a: int = True", "whole number"),
        ("a: int", "expected"),
        ("a: str = 1", "quotes"),
        ("a: float = 1e999", "finite"),
        ("a: int = 0  # >= 1; pictures", "a is 0, but has to be >= 1"),
        ('a: str = "x"  # >= 1', "cannot be '>= 1'"),
        ("a: list[int] = [1]  # >= 1", "cannot be '>= 1'"),
        ("a: int = 1  # some, each >= 1", "cannot be 'some, each >= 1'"),
        ("a: list[int] = [1]  # 2, each >= 1", "has the length 1; give 2 values"),
    ],
)
def test_cell_refusals(source, word):
    with pytest.raises(ParamsError, match=word):
        params.parse_cell(source, "toy")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("lr=1e-3", 1e-3),
        ("lr=2", 2.0),
        ("n=7", 7),
        ("names=a,b", ["a", "b"]),
        ("names=[]", []),
        ("scales=[0.5, 2]", [0.5, 2.0]),
        ("flip=false", False),
        ("weights=a=b", "a=b"),
        ("weights=", ""),
        ('names=["a"]', ["a"]),
    ],
)
def test_override(declared, text, value):
    assert params.parse_override(text, declared) == (text.partition("=")[0], value)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("lr", "NAME=VALUE"),
        ("l=1", "valid are|did you mean"),
        ("lrr=1", "did you mean 'lr'"),
        ("n=1.5", "int"),
        ("n=x", "int"),
        ("n=1_0", "int"),
        ("n=010", "int"),
        ("n=\u0663", "int"),
        ("lr=0_5", "float"),
        ("n=99999999999999999999", "below 4294967296"),
        ("flip=1", "true or false"),
        ("lr=nan", "finite"),
        ("scales=1,x", "float"),
        ("scales=1,,2", "float"),
        ("lr=", "float"),
    ],
)
def test_override_refusals(declared, text, word):
    with pytest.raises(ParamsError, match=word):
        params.parse_override(text, declared)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("lr: 0.5", "lrr: 0.5", ["unknown parameter 'lrr'", "did you mean 'lr'"]),
        ("run_dir: runs/toy/tiny", "", ["run_dir is missing", 'add `run_dir: "runs/toy/tiny"`']),
        ("steps: 6", "steps: 6.0", ["steps is 6.0", "whole number"]),
        ("steps: 6", "steps: true", ["steps is True", "whole number"]),
        ("lr: 0.5", "lr: 1e-3", ["text", "write 1.0e-3"]),
        ("lr: 0.5", "lr: 5E+3", ["write 5.0e+3"]),
        ("lr: 0.5", "lr: .inf", ["finite"]),
        ("seed: 0", "seed: 2024-01-01", ["date"]),
        ("seed: 0", "seed: !!python/object/apply:os.system ['touch harmed']", ["plain YAML"]),
        ("seed: 0", "seed: !!python/name:os.system", ["plain YAML"]),
        ("seed: 0", "seed: {a: 1}", ["mapping"]),
        ("seed: 0", "seed:", ["nothing"]),
        ("seed: 0", "seed: [[1]]", ["flat lists"]),
        ("seed: 0", "seed: 0\nseed: 1", ["given twice"]),
        ("seed: 0", "1: 0", ["not a name"]),
        ("seed: 0", "seed: 010", ["010 is not a plain decimal number", "line 7"]),
        ("seed: 0", "seed: 0x1F", ["0x1F is not a plain decimal number"]),
        ("seed: 0", "seed: 1_000", ["1_000 is not a plain decimal number"]),
        ("seed: 0", "seed: 190:20:30", ["190:20:30 is not a plain decimal number", "quotes"]),
        ("lr: 0.5", "lr: 190:20:30.5", ["190:20:30.5 is not a plain decimal number"]),
        ("lr: 0.5", "lr: !!float [1]", ["scalar"]),
        ("seed: 0", "seed: &seed 0\nitems: *seed", ["alias", "write the value itself"]),
        ("seed: 0", "round: 3", ["unknown parameter 'round'"]),
        ("seed: 0", "seed: [", ["YAML"]),
        ("device: cpu", "device: no", ["device is False", "quotes"]),
        ("02_train", "../02_train", ["stage '../02_train'"]),
        ("02_train", "/etc/x", ["stage"]),
        ("02_train", "'{x}'", ["stage"]),
        ("02_train", "'a b'", ["stage"]),
        ("02_train", "02_trein", ["02_trein.ipynb", "no such notebook"]),
        ("02_train, 03", "02_train, 02_train, 03", ["twice"]),
        ("stages: [01_make, 02_train, 03_score]", "", ["stages"]),
        (YAML, "just text", ["name: value"]),
        (YAML, "", ["name: value"]),
        ("01_make, 02_train", "02_train", ["unknown parameter 'items'"]),
        ("02_train, 03", "03", ["unknown parameter 'steps'"]),
    ],
)
def test_experiment_refusals(project, old, new, words):
    from wsnb.run import experiments

    assert old in YAML
    project.yaml(YAML.replace(old, new))
    with pytest.raises(ValueError) as caught:
        experiments.load(project.root, "toy", "tiny")
    text = str(caught.value)
    assert all(word in text for word in words), text
    assert not (project.root / "harmed").exists()


def test_the_defaults_count_where_an_experiment_is_silent(project):
    from wsnb.run import experiments

    whole = experiments.load(project.root, "toy", "tiny")
    project.yaml("stages: [01_make, 02_train, 03_score]\nrun_dir: runs/toy/tiny\n")
    sparse = experiments.load(project.root, "toy", "tiny")
    assert sparse.values == whole.values and sparse.stages == whole.stages
    project.edit("02_train", "lr: float = 0.5", "lr: float = 0.25")
    assert experiments.load(project.root, "toy", "tiny").values == {**whole.values, "lr": 0.25}


@pytest.mark.parametrize(
    ("old", "new"),
    [("workers: int = 0", "workers: int = 2"), ("pause: float = 0.0", 'pause: str = ""')],
)
def test_one_name_has_one_declaration(project, old, new):
    """Also where the YAML gives a value: it may be silent tomorrow."""
    from wsnb.run import experiments

    project.edit("02_train", old, new)
    with pytest.raises(ParamsError) as caught:
        experiments.load(project.root, "toy", "tiny")
    assert "01_make.ipynb" in str(caught.value) and "02_train.ipynb" in str(caught.value)
    assert "make them alike" in str(caught.value)


def test_many_aliases_take_no_time(project):
    from wsnb.run import experiments

    lines = ["a0: &a0 [0, 0]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    project.yaml("\n".join(lines))
    with pytest.raises(ParamsError, match="alias"):
        experiments.load(project.root, "toy", "tiny")


def test_a_file_that_is_not_utf8(project):
    (project.root / "params/toy/other.yaml").write_bytes(b"# caf\xe9\n" + YAML.encode())
    said = project.wsnb("list").splitlines()
    assert said[-1] == "    toy, for the tests"
    assert said[1] == "toy/other" and "other.yaml: byte 5 is not UTF-8; save the file as UTF-8" in said[2]
    assert "other.yaml: byte 5 is not UTF-8" in project.wsnb("run", "toy/other", code=2)


def test_params_says_all_values(project):
    project.yaml("# A toy\nstages: [01_make, 02_train]\nrun_dir: runs/toy/tiny\nlr: 0.25  # paper: [1.0, 2.0]\n")
    said = [line.split() for line in project.wsnb("params", "toy/tiny").splitlines()]
    assert said[0] == ["toy/tiny:", "A", "toy"] and ["01_make"] in said
    assert said[said.index(["02_train"]) + 1 :] == [["steps", "6"], ["lr", "0.25", "default", "0.5,", "paper", "[1.0,",
                                                                   "2.0]"]]  # fmt: skip
    assert ["items", "5"] in said and ["pause", "0.0"] in said[: said.index(["02_train"])]
    assert "no experiment toy/other" in project.wsnb("params", "toy/other", code=2)
    project.yaml("stages: [01_make, 02_train]\nrun_dir: runs/toy/tiny\nlr: 0.25  # paper: [1.0\n")
    assert "# paper: [1.0`: the paper's value cannot be read" in project.wsnb("params", "toy/tiny", code=2)


def test_a_need_that_the_experiment_lacks(project):
    from wsnb.run import experiments

    project.yaml(
        YAML.replace("01_make, 02_train, ", "").replace("items: 5\npause: 0.0\nsteps: 6\nlr: 0.5\n", "")
    )
    with pytest.raises(ValueError, match="needs 02_train, which is not among"):
        experiments.load(project.root, "toy", "tiny")


RANGED = """epochs: int = 4  # >= 1; times through the pictures
lr: float = 0.1  # > 0
share: float = 1  # 0 to 1; of a box
optimiser: str = "sgd"  # sgd | adamw | inner sgd; the paper's
stride: int = 0  # 0 | 8 | 16
scales: list[float] = [1.0]  # some, each > 0
sides: list[int] = [3, 4]  # 2, each >= 1; height,
# width
rules: list[str] = []  # each crf | outside
free: int = 0  # the pause ends at >= 1; a | b"""


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("epochs=-5", "epochs is -5, but has to be >= 1"),
        ("epochs=0", "epochs is 0, but has to be >= 1"),
        ("lr=0", "lr is 0.0, but has to be > 0"),
        ("share=1.5", "share is 1.5, but has to be 0 to 1"),
        ("optimiser=adam", "optimiser is 'adam'; did you mean 'adamw'[?] use one of sgd, adamw, inner sgd"),
        ("stride=4", "stride is 4; use one of 0, 8, 16"),
        ("scales=[]", "scales is empty; give one value at least"),
        ("scales=[1, 0]", "scales is 0.0, but has to be > 0"),
        ("sides=[1]", "sides has the length 1; give 2 values"),
        ("rules=[crf, crf]", "rules has 'crf' twice"),
        ("rules=[crv]", "rules is 'crv'; did you mean 'crf'"),
    ],
)
def test_values_that_are_not_allowed(text, word):
    declared = params.parse_cell(RANGED, "toy")
    assert declared["sides"].help == "height, width" and declared["optimiser"].help == "the paper's"
    assert declared["free"].allowed == "" and declared["rules"].default == []
    for good in ("epochs=1", "share=0", "share=1", "optimiser=inner sgd", "stride=16", "sides=[1,1]", "rules=[crf]"):
        params.parse_override(good, declared)
    with pytest.raises(ParamsError, match=f"^-p .*: {word}"):
        params.parse_override(text, declared)
    name, value = params.parse_override(text, params.parse_cell(re.sub("  #.*|^#.*", "", RANGED, flags=re.M), "toy"))
    with pytest.raises(ParamsError, match=f"^x.yaml: {word}"):
        params.complete({name: value}, declared, "x.yaml")


OPEN = ("data_root run_dir device dataset method annotation labels_stage source runs figures folder root "
        "photo repository").split()


def notebook_parameters():
    for path in sorted((Path(__file__).parents[2] / "notebooks").rglob("*.ipynb")):
        for param in params.declared(notebooks.read(path)).values():
            yield f"{path.parent.name}/{path.stem}: {param.name}", param


def test_every_parameter_says_what_it_may_be():
    """Numbers have a range; texts list their values, but for names, files, folders and splits."""
    free = [where for where, param in notebook_parameters()
            if not param.allowed and param.type != "bool" and param.name not in OPEN
            and not re.search("(split|_dir|_file|weights|checkpoint|boundaries)$", param.name)]  # fmt: skip
    assert [where for where in free if not where.endswith("supervision")] == []


def test_the_notebooks_list_what_the_library_has():
    from wsnb.data import read
    from wsnb.models import backbones, heads
    from wsnb.papers.no_people_allowed import cams, model
    from wsnb.papers.no_people_allowed import inference as npa
    from wsnb.papers.panoptic import instance_network
    from wsnb.papers.simple_does_it import box_labels, semantic
    from wsnb.papers.single_stage import inference
    from wsnb.papers.single_stage import model as single_stage

    known = {
        "cam_method": {*cams.METHODS},
        "test_style": {*npa.STYLES},
        "detections": {*instance_network.DETECTORS},
        "label_methods": {*box_labels.METHODS},
        "train_labels": {*box_labels.METHODS, semantic.FULL},
        "rules": {*semantic.RULES},
        "tag_sources": {*inference.TAGS},
        "model": {*single_stage.MODELS},
        "seg_head": {*heads.HEADS},
        "no_people_allowed/01_classifier: backbone": {*backbones.NAMES, "vgg16_bn", *model.WHOLE},
        "spml/04_embedding: backbone": {*backbones.NAMES, "resnet101_deep"},
        "panoptic/06_train: backbone": {*backbones.NAMES},
    }
    seen = set()
    for where, param in notebook_parameters():
        listed = {*param.allowed.removeprefix("some, ").removeprefix("each ").split(" | ")}
        for name in {where, param.name} & known.keys():
            seen.add(name)
            assert listed == known[name], where
        if param.name == "layout":
            assert listed <= {*read.LAYOUTS}, where
    assert seen == known.keys()


def test_command_refuses_before_a_kernel(project):
    text = project.run("-p", "lrr=3", code=2)
    assert "did you mean 'lr'" in text and not project.runs.exists()
    assert "use --runs DIR" in project.run("-p", "run_dir=/tmp", code=2)
    assert "did you mean '02_train'" in project.run("--until", "02_trian", code=2)
    assert "use auto, cpu, cuda" in project.run("--device", "gpu", code=2)
    assert "--workers: workers is -1, but has to be >= 0" in project.run("--workers", "-1", code=2)
    assert "has to be >= 0" in project.run("-p", "workers=-1", "--dry-run", code=2)
    project.yaml(YAML.replace("lr: 0.5", "lr: 1e-3"))
    assert "write 1.0e-3" in project.run(code=2) and not project.runs.exists()


@pytest.mark.parametrize(
    "name",
    [
        "toy/../tiny",
        "toy//etc",
        "/etc/passwd",
        "toy/{0}",
        "toy/a b",
        "toy/ä",
        "../toy/tiny",
        "tiny",
        "toy/" + "x" * 200,
        "toy/.hidden",
        "toy/",
    ],
)
def test_names_stay_inside(project, name, monkeypatch, capsys):
    monkeypatch.setenv("WSNB_ROOT", str(project.root))
    before = sorted(project.root.parent.rglob("*"))
    assert main(["run", name]) == 2
    said = capsys.readouterr().err
    assert ("use letters" in said or "PAPER/NAME" in said) and "Traceback" not in said, said
    assert sorted(project.root.parent.rglob("*")) == before


def test_a_link_out_of_the_runs_is_refused(project, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (project.root / "runs/toy").mkdir(parents=True)
    (project.root / "runs/toy/tiny").symlink_to(tmp_path / "elsewhere")
    assert "--runs DIR" in project.run(code=2)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_missing_weights_are_refused(project):
    project.single("stage.finish()", parameters='weights: str = "imagenet"  # or a file')
    assert "no file nets/none.pth" in project.run("-p", "weights=nets/none.pth", code=2)
    two = 'irnet_weights: str = "imagenet"  # or a file\nseg_checkpoint: str = ""'
    project.single("stage.finish()", parameters=two)
    assert "irnet_weights: no file none.pth" in project.run("-p", "irnet_weights=none.pth", code=2)
    assert "seg_checkpoint: no file a/b.h5" in project.run("-p", "seg_checkpoint=a/b.h5", code=2)


def test_every_file_of_weights_counts_by_its_content(tmp_path):
    from wsnb.run import fingerprint
    from wsnb.run.contents import Contents

    declared = {"irnet_weights": params.Param("irnet_weights", "str", "")}
    (tmp_path / "net.pth").write_bytes(b"1")
    first = fingerprint.params_values(declared, {"irnet_weights": "net.pth"}, tmp_path, Contents())
    (tmp_path / "net.pth").write_bytes(b"2")
    assert first != fingerprint.params_values(declared, {"irnet_weights": "net.pth"}, tmp_path, Contents())
    named = {"irnet_weights": "imagenet"}
    assert fingerprint.params_values(declared, named, tmp_path, Contents()) == named


def test_a_split_with_a_list_counts_by_the_list(project):
    """SPLIT:LIST.txt, as Cityscapes has it: the list is found, made absolute, hashed; a missing one is refused."""
    from wsnb.run import fingerprint
    from wsnb.run.contents import Contents

    listed, declared = project.root / "few.txt", {"extra_split": params.Param("extra_split", "str", "")}
    listed.write_text("a\n")
    assert params.existing_file("extra_split", "str", "train_extra:few.txt", project.root) == listed

    def key(split):
        return fingerprint.params_values(declared, {"extra_split": split}, project.root, Contents())["extra_split"]

    first = key("train_extra:few.txt")
    listed.write_text("b\n")
    second, other = key("train_extra:few.txt"), key("train:few.txt")
    assert first != second and first.startswith("train_extra:sha256:") and other.startswith("train:sha256:")
    project.single("assert p.extra_split == 'train_extra:' + str(stage.root / 'few.txt'), p.extra_split\nstage.finish()"
                   .replace("p.", "stage.params."), parameters='extra_split: str = ""  # more pictures')
    project.run("-p", "extra_split=train_extra:few.txt")
    assert "extra_split: no file none.txt" in project.run("-p", "extra_split=train_extra:none.txt", code=2)


def test_folders_count_by_what_lies_in_them(tmp_path):
    from wsnb.files import FileError, save_json
    from wsnb.run import fingerprint, manifest
    from wsnb.run.contents import Contents

    declared = {"cam_dir": params.Param("cam_dir", "str", ""), "run_dir": params.Param("run_dir", "str", "")}
    cams = tmp_path / "cams"
    cams.mkdir()
    (cams / "a.npz").write_bytes(b"12")

    def key(**values):
        return fingerprint.params_values(declared, {"cam_dir": "", "run_dir": "x", **values}, tmp_path, Contents())

    assert key() == {"cam_dir": ""} and params.existing_file("cam_dir", "str", "nowhere", tmp_path) is None
    first = key(cam_dir="cams")
    (cams / "a.npz").write_bytes(b"123")
    second = key(cam_dir=str(cams))
    assert first["cam_dir"].startswith("sha256:") and first != second
    found = {second["cam_dir"]}
    for name in ("k1", "k2"):  # of a finished stage, its key says it all
        stage = tmp_path / ".store" / name
        shutil.copytree(cams, stage / "cams")
        record = {"key": name, "parts": {}, "results": []}
        save_json(stage / "results.json", record)
        manifest.write(stage, record)
        found.add(key(cam_dir=str(stage / "cams"))["cam_dir"])
        (stage / "cams/a.npz").write_bytes(b"1234")
        with pytest.raises(FileError, match=f"{name}/cams: not as its stage left it: cams/a.npz has 4 bytes instead"):
            key(cam_dir=str(stage / "cams"))
    assert len(found) == 3
