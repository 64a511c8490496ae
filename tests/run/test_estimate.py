"""`wsnb plan --estimate`: counted networks, headers of experiments at full size, disks that are too small.

`python -m tests.run.test_estimate` writes the headers anew after a change.
"""

import re
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from wsnb.data.synthetic import make_voc
from wsnb.models import cost
from wsnb.run import cli, estimate, experiments, schedule

ROOT = Path(__file__).parents[2]
AT_FULL_SIZE = re.compile(r"\w+/(voc12|cityscapes|sbd|densepose|imagenet_det|coco14)")


def layers(frozen):
    first, second = torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Conv2d(8, 5, 1)
    first.requires_grad_(not frozen)
    return torch.nn.Sequential(first, second)


@pytest.mark.parametrize("frozen", [False, True])
def test_operations_and_bytes_are_those_by_hand(frozen):
    found, pixels = cost.count(layers, (frozen,), (3, 16, 20)), 16 * 20
    first, second = 2 * pixels * 3 * 9 * 8, 2 * pixels * 8 * 5
    assert found.forward == first + second
    assert found.flops == found.forward + second + (0 if frozen else second + first)  # the picture needs no gradient
    assert found.parameters == 4 * (8 * 27 + 8 + 40 + 5) and found.learned == 4 * (45 if frozen else 269)
    assert found.kept == 4 * pixels * (8 if frozen else 8 + 3)


def at_full_size():
    """(experiment, what its header says of hardware and time) of each."""
    titles = [title for title in experiments.names(ROOT) if AT_FULL_SIZE.match(title)]
    found = [experiments.load(ROOT, *title.split("/")) for title in titles]
    return [(experiment, experiments.header(experiment.path)["Hardware and time"]) for experiment in found]


def test_each_header_says_what_the_estimate_says():
    assert len(at_full_size()) == 32
    for experiment, said in at_full_size():
        assert said.startswith(f"{estimate.header(ROOT, experiment)}."), f"{experiment.title}: renew it, see above"


def test_a_faster_gpu_shortens_what_waits_for_it(capsys):
    def hours(*words):
        assert cli.main(["plan", "student/voc12_resnet101", "--estimate", *words]) == 0
        rows = [line.split() for line in capsys.readouterr().out.splitlines()]
        return {row[0]: float(row[1]) for row in rows if row and row[0] in ("01_labels", "02_train", "all")}

    usual, fast, longer = hours(), hours("--gpu", "h100"), hours("-p", "steps=40000")
    assert fast["02_train"] < usual["02_train"] / 3 and fast["01_labels"] == usual["01_labels"]
    assert longer["02_train"] == pytest.approx(2 * usual["02_train"], rel=0.05)
    assert usual["all"] > usual["02_train"]


@pytest.mark.parametrize("words, said", [
    (("student/shapes", "--estimate"), "on published data sets at their full size"),
    (("student/voc12_resnet101", "--estimate", "--gpu", "h10"), "did you mean 'h100'"),
    (("student/voc12_resnet101", "--gpu", "h100"), "it goes with --estimate"),
    (("student/voc12_resnet101", "--estimate", "-p", "train_split=mine"), "its size is not known"),
])
def test_refused(words, said, capsys):
    assert cli.main(["plan", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_disk_that_is_too_small_is_refused_before_the_start(tmp_path, monkeypatch, capsys):
    data = make_voc.shapes(tmp_path / "data", train=2, val=1, size=(48, 64))
    words = ["run", "student/voc12_resnet101", "--data-root", str(data), "--runs", str(tmp_path / "runs"),
             "-p", "train_split=train"]
    monkeypatch.setattr(schedule.shutil, "disk_usage", lambda place: SimpleNamespace(free=1_000_000))
    assert cli.main(words) == 2
    out, said = capsys.readouterr()
    assert "student/voc12_resnet101 will take about" in said and "0.001 GB are free" in said and "--runs" in said
    assert "runs, because" not in out and not list((tmp_path / "runs").glob("*/*/01_labels"))


def renew():
    """Write what the estimate says into the headers; what they say after it stays."""
    for experiment, said in at_full_size():
        _, _, rest = said.partition(f"{experiments.ESTIMATED}.")
        lines = experiment.path.read_text(encoding="utf-8").split("\n")
        first = next(k for k, line in enumerate(lines) if line.startswith("# Hardware and time:"))
        last = next(k for k in range(first + 1, len(lines)) if not lines[k].startswith("#")
                    or experiments.HEADING.fullmatch(lines[k].lstrip("#").strip()))
        text = f"Hardware and time: {estimate.header(ROOT, experiment)}.{rest}"
        lines[first:last] = [f"# {line}" for line in textwrap.wrap(text, 126, break_on_hyphens=False)]
        experiment.path.write_text("\n".join(lines), encoding="utf-8")
        print(f"{experiment.title}: {text}", flush=True)


if __name__ == "__main__":
    renew()
