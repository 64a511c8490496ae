"""What the shell sees: suggestions, completion, the list of experiments, quiet runs, what may be deleted."""

import subprocess
from pathlib import Path

import pytest
import yaml

from wsnb.run import cli, experiments, papers, params

ROOT = Path(__file__).parents[2]


def said(capsys, *words, code=0):
    """What `wsnb WORDS` printed, both streams; checks its exit code."""
    try:
        found = cli.main(list(words))
    except SystemExit as ended:  # argparse
        found = ended.code
    out, err = capsys.readouterr()
    assert found == code, out + err
    return out + err


@pytest.mark.parametrize(("words", "hint"), [
    (("rnu",), "did you mean 'run'?"),
    (("run", "single_stage/shapes", "--sed", "3"), "did you mean '--seeds'?"),
    (("run", "spml/shapes_tga"), "did you mean 'spml/shapes_tag'?"),
    (("params", "shapes_tag"), "for instance spml/shapes_tag"),
    (("run", "single_stage/shapes", "-p", "wieghts=3"), "did you mean 'weights'?"),
    (("run", "single_stage/shapes", "-p", "zzz=3"), "`wsnb params` names them"),
    (("run", "single_stage/shapes", "--only", "09_x"), "--only 09_x: no such stage"),
    (("list", "smpl"), "did you mean 'spml'?"),
    (("data", "doctr", "x"), "did you mean 'doctor'?"),
    (("clean", "sites"), "did you mean 'site'?"),
])
def test_an_error_suggests_one_name(capsys, words, hint):
    text = said(capsys, *words, code=2)
    assert hint in text and len(text.splitlines()[-1]) < 200  # not fifty names


def test_the_list_says_what_an_experiment_needs(capsys):
    text = said(capsys, "list")
    at = [text.index(f"\n{paper.heading}\n" if number else paper.heading)
          for number, paper in enumerate(papers.load().values())]
    assert at == sorted(at)  # the order of the chapters
    lines = said(capsys, "list", "panoptic").splitlines()
    needs, what = lines[lines.index("panoptic/camvid_small") + 1:][:2]
    assert "2 CPU cores, about 14 minutes" in needs and "GB of memory" in needs
    assert "weights: ImageNet's; data: data/camvid_cityscapes" in needs and what.endswith("on a CPU.")
    lines = said(capsys, "list", "single_stage").splitlines()  # its first stage is another experiment's
    assert "; weights: ImageNet's; " in lines[lines.index("single_stage/voc_small_train") + 1]
    assert not any(line.endswith(("background", "with")) for line in lines)  # a sentence over two lines is whole
    assert said(capsys, "list", "--names").split() == experiments.names(ROOT)


def test_every_header_has_a_first_sentence_and_a_time():
    for title in experiments.names(ROOT):
        header = experiments.header(ROOT / "params" / f"{title}.yaml")
        assert header[""] and header["Hardware and time"] and header["Command"], title


@pytest.mark.parametrize(("line", "word"), [
    (("wsnb", "ru"), "run"), (("wsnb", "run", "spml/shapes_t"), "spml/shapes_tag"),
    (("wsnb", "run", "--se"), "--seeds"),
    (("wsnb", "params", "single_stage/voc_small_c"), "single_stage/voc_small_cam_baseline"),
])
def test_words_are_completed(capsys, tmp_path, line, word):
    script = said(capsys, "completion", "bash")
    (tmp_path / "wsnb").write_text("#!/bin/sh\n" + "".join(f"echo {name}\n" for name in experiments.names(ROOT)))
    (tmp_path / "wsnb").chmod(0o755)
    words = " ".join(f"'{one}'" for one in line)
    asked = f"COMP_WORDS=({words}); COMP_CWORD={len(line) - 1}; _wsnb; echo ${{COMPREPLY[@]}}"
    code = f"PATH={tmp_path}:$PATH\n{script}\n{asked}"
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == ([word], "")


def test_papermill_knows_all_values_of_one_stage(capsys):
    values = yaml.safe_load(said(capsys, "params", "single_stage/shapes", "--stage", "03_evaluate"))
    declared = params.declared(experiments.load(ROOT, "single_stage", "shapes").stages[-1].notebook)
    assert values.keys() == declared.keys() and values["dataset"] == "shapes"
    assert "did you mean '03_evaluate'?" in said(capsys, "params", "single_stage/shapes", "--stage", "3_eval", code=2)


def test_a_quiet_run_names_its_log(project):
    text = project.run("-q", "--until", "02_train")
    assert " made" not in text and "log runs/toy/tiny/02_train/log.txt" in text and len(text.splitlines()) == 4
    assert "made" in (project.root / "runs/toy/tiny/01_make/log.txt").read_text()


def test_what_may_be_deleted(project):
    site, working = project.root / "_site", project.root / "build/_site"
    for folder in (site, working):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x" * 200_000)
    text = project.wsnb("clean", "--yes")
    assert f"{working}  0.2 MB" in text and str(site) not in text.replace(str(working), "")  # that one is not ours
    (site / ".wsnb-site").touch()
    assert f"{site}  0.2 MB" in project.wsnb("clean") and (working / "file").exists()
    assert "deleted" in project.wsnb("clean", "build", "site", "--yes")
    assert not site.exists() and not working.exists()


