"""The notebooks of this paper, run by the real command on small synthetic data: results, kills, odd data sets."""

import json
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import wsnb
from tests import command
from tests.kernels import killed, logged
from tests.predicted import agrees_with_its_run
from tests.single_stage import chain
from wsnb.data.synthetic import make_voc
from wsnb.files import load_torch, read_index, save_png
from wsnb.run import cli, experiments, predict

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_voc.shapes(tmp_path_factory.mktemp("data") / "VOCdevkit", train=10, val=4, size=(64, 80))


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """An uninterrupted run of the whole chain."""
    runs = tmp_path_factory.mktemp("whole")
    done = chain.run(data, runs)
    assert done.returncode == 0, done.stdout
    return runs


def same_weights(a, b):
    one, other = load_torch(a / "network.pth"), load_torch(b / "network.pth")
    return list(one) == list(other) and all(torch.equal(one[k], other[k]) for k in one)


def test_every_stage_is_done_and_reports(whole):
    assert chain.manifest(whole, "01_train")["results"][0]["name"].startswith("tag mAP before epoch")
    kinds = chain.manifest(whole, "02_masks")["notes"]["folders"]
    assert kinds == ["masks", "masks_crf", "masks_clean", "masks_clean_crf"]
    for kind in kinds:
        masks = sorted((chain.stage(whole, "02_masks") / kind).glob("*.png"))
        assert len(masks) == 4 and all(read_index(p).max() <= 5 for p in masks)
    results = chain.values(chain.manifest(whole, "03_evaluate"))
    assert len(results) == 9  # two means of four kinds of masks, and all-background
    assert 0 < results["mIoU", "all background", "none", False] < 100 / 6
    protocols = [r["protocol"] for r in chain.manifest(whole, "03_evaluate")["results"]]
    assert {p["image_labels"] for p in protocols} == {"predicted", "ground truth", "none"}


def test_nothing_is_done_twice(data, whole):
    start = time.process_time()
    again = chain.run(data, whole)
    seconds = time.process_time() - start
    print(f"nothing to do: {seconds:.2f} s of a processor")
    assert again.returncode == 0 and again.stdout.count("done already") == 3, again.stdout
    assert seconds < 2  # 0.2 s alone on the machine


def test_plain_papermill_gives_the_same(data, whole, tmp_path):
    """No wrapper: papermill with the experiment's own file; and another number of workers changes nothing. A later
    stage by papermill: tests/run/test_store."""
    words = [sys.executable, "-m", "papermill", str(command.ROOT / "notebooks/single_stage/01_train.ipynb"),
             str(tmp_path / "out.ipynb"), "-f", str(command.ROOT / "params/single_stage/shapes.yaml"),
             "--no-progress-bar"]
    values = {**chain.SMALL, "workers": 2, "data_root": data, "run_dir": tmp_path / "by_papermill"}
    words += [word for key, value in values.items() for word in ("-y", f"{key}: {value}")]
    done = subprocess.run(words, env=command.environment(), cwd=tmp_path, text=True, capture_output=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    assert same_weights(tmp_path / "by_papermill/01_train", chain.stage(whole, "01_train"))


def killed_in_training(data, folder, kill):
    """A training killed by KILL(process) after its second epoch, while others are left: its runs, its text."""
    start = lambda runs: chain.start(data, runs, "--until", "01_train")  # noqa: E731
    return killed(start, partial(chain.stage, name="01_train"), logged("epoch 1:"), folder, kill)


def continues(data, whole, runs):
    """The same command ends the training in RUNS with the weights of the whole one; what it said."""
    done = chain.run(data, runs, "--until", "01_train")
    assert done.returncode == 0, done.stdout
    assert same_weights(chain.stage(runs, "01_train"), chain.stage(whole, "01_train"))
    return done.stdout


def test_runner_killed_in_training(data, whole, tmp_path):
    delay = random.SystemRandom().uniform(0, 0.3)
    print(f"killed {delay:.3f} s after validation")

    def kill(process):
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)

    runs, _ = killed_in_training(data, tmp_path, kill)
    continues(data, whole, runs)


def test_interrupt_writes_a_checkpoint(data, whole, tmp_path):
    seconds = []

    def kill(process):
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) in (0, 75)  # 0: it had ended before
        seconds.append(time.monotonic() - start)

    runs, _ = killed_in_training(data, tmp_path, kill)
    assert seconds[-1] < 10 and (chain.stage(runs, "01_train") / "training.pt").exists()
    assert "continuing from training.pt" in continues(data, whole, runs)


def only(data, train, val=None):
    """A list of pictures for each split."""
    lists = data / "VOC2012/ImageSets/Segmentation"
    (lists / "train.txt").write_text("\n".join(train) + "\n")
    (lists / "val.txt").write_text("\n".join(val or train) + "\n")


@pytest.mark.parametrize("case", ["11 pictures", "one picture, all void"])
def test_odd_data_sets(case, tmp_path):
    data = make_voc.shapes(tmp_path / "VOCdevkit", train=11, val=1, size=(64, 80))
    masks = sorted((data / "VOC2012/SegmentationClass").glob("*.png"))
    if case.startswith("one picture"):
        only(data, ["train_000000"])
    empty = {masks[0]: 0, masks[1]: 255} if case == "11 pictures" else dict.fromkeys(masks, 255)
    for path, value in empty.items():  # of the 11, one has only background and one only void
        save_png(path, np.full_like(read_index(path), value))
    done = chain.run(data, tmp_path / "runs", epochs=1, batch=8)
    assert done.returncode == 0, done.stdout
    record = chain.manifest(tmp_path / "runs", "03_evaluate")
    found = chain.values(record)["mIoU", "single-stage", "predicted", False]
    if case.endswith("all void"):
        assert found is None and len(record["notes"]["undefined"]) == 6  # undefined, and named
    else:
        assert 0 <= found <= 100


def test_cam_baseline(data, tmp_path):
    done = chain.run(data, tmp_path, model="cam_baseline", backbone="mobilenet_v2", background_power=1.0)
    assert done.returncode == 0, done.stdout
    results = chain.values(chain.manifest(tmp_path, "03_evaluate"))
    assert results["mIoU", "CAM baseline", "ground truth", False] > 0


def test_a_checkpoint_replaces_training(data, whole, tmp_path):
    weights = chain.stage(whole, "01_train") / "network.pth"
    done = chain.run(data, tmp_path, "--until", "01_train", checkpoint=weights)
    assert done.returncode == 0, done.stdout
    assert same_weights(chain.stage(tmp_path, "01_train"), chain.stage(whole, "01_train"))
    refused = chain.run(data, tmp_path / "other", checkpoint=weights, width=32)
    assert refused.returncode == 1 and "of another shape" in refused.stdout


def test_predictions_are_the_masks_of_the_run(data, whole, tmp_path, capsys):
    """And a packed network says nearly the same, of a photograph that lies on its side and is large, too."""
    model = agrees_with_its_run(whole, "single_stage/shapes", data)
    picture = next((data / "VOC2012/JPEGImages").glob("*.jpg"))
    image = Image.open(picture).resize((320, 256))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    image.save(tmp_path / "large.jpg", exif=exif)
    words = [str(tmp_path / "large.jpg"), str(picture), "--out", str(tmp_path / "out"), "--device", "cpu"]
    runs = ["--runs", str(whole)]
    assert cli.main(["predict", *words, "--run", "single_stage/shapes", *runs]) == 0
    assert f"{picture}: " in capsys.readouterr().out
    mask, overlay = (Image.open(tmp_path / f"out/large{end}.png") for end in ("", "_overlay"))
    assert mask.size == overlay.size == (256, 320) and mask.mode == "P"
    assert np.array_equal(read_index(tmp_path / f"out/{picture.stem}.png"), model.predict(picture))
    assert (tmp_path / "out/classes.txt").read_text().splitlines() == [f"{k} {n}" for k, n in enumerate(model.classes)]
    assert cli.main(["export", "network", "single_stage/shapes", str(tmp_path / "net.zip"), *runs]) == 0
    card = (tmp_path / "net.md").read_text()
    assert "# The network of `single_stage/shapes`" in card and card.count("## mIoU (single-stage, CRF)") == 1
    assert "| background | " in card and "clean" not in card
    assert cli.main(["predict", *words, "--weights", str(tmp_path / "net.zip")]) == 0
    packed = read_index(tmp_path / f"out/{picture.stem}.png")
    assert (packed == model.predict(picture)).mean() > 0.98  # 16 bits a weight
    assert np.array_equal(wsnb.load(tmp_path / "net.zip", device="cpu").predict(picture), packed)


def test_the_first_notebook_predicts_with_the_book_s_network_or_says_how_to_make_it(data, whole, tmp_path, monkeypatch,
                                                                                  capsys):
    cells = json.loads((ROOT / "notebooks/00_start.ipynb").read_text())["cells"]
    code = {cell["id"]: "".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"}
    names, picture = {}, next((data / "VOC2012/JPEGImages").glob("*.jpg"))
    monkeypatch.setattr(predict, "BOOK", "weights/none.zip")
    monkeypatch.setattr(experiments, "ensure", lambda *_: None)  # of another size
    for name in list(code)[:list(code).index("predict") + 1]:
        exec(code[name], names)  # noqa: S102
        names |= {"data_root": str(data), "photo": str(picture)}
    assert "`wsnb run student/voc_small_m_and_g_plus` and `wsnb export network" in capsys.readouterr().out
    book = tmp_path / "book.zip"
    assert cli.main(["export", "network", "single_stage/shapes", str(book), "--runs", str(whole)]) == 0
    monkeypatch.setattr(predict, "BOOK", str(book))
    exec(code["predict"], names)  # noqa: S102
    assert np.array_equal(names["found"], wsnb.load(book).predict(picture))
    assert names["first"].axes[1].get_title() == predict.contents(names["found"], names["model"])


@pytest.mark.parametrize(("words", "said"), [
    (("photo.jpg", "--run", "single_stage/shapes"), "photo.jpg: no such picture"),
    (("a", "b", "--run", "single_stage/shapes"), "two pictures have this name"),
    (("a", "--run", "spml/shapes_tag"), "09_inference is not finished; run `wsnb run spml/shapes_tag --until 09_inf"),
    (("a",), "weights/none.zip: the book's network is not in this checkout; --run takes a finished run, here single_"),
    (("a", "--box", "1,2,3,4", "--run", "single_stage/shapes"), "takes no boxes"),
    (("empty", "--run", "single_stage/shapes"), "no picture in it"),
])
def test_a_prediction_that_cannot_be(whole, tmp_path, monkeypatch, capsys, words, said):
    for folder in ("a", "b", "empty"):
        (tmp_path / folder).mkdir()
    for folder in ("a", "b"):
        Image.new("RGB", (40, 30)).save(tmp_path / folder / "x.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(predict, "BOOK", "weights/none.zip")
    assert cli.main(["predict", *words, "--runs", str(whole)]) == 2
    assert said in capsys.readouterr().err
