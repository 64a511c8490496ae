"""The notebooks of this paper, run by the real command on a few street scenes: results, kills, other labels."""

import hashlib
import shutil
import time
from functools import partial

import numpy as np
import pytest
from PIL import Image

from tests import command
from tests.kernels import killed
from tests.panoptic import chain
from tests.predicted import agrees_with_its_run, is_picture
from wsnb.data.item import read_numbers
from wsnb.data.synthetic import make_cityscapes
from wsnb.files import read_index, read_rgb, save_png
from wsnb.papers.panoptic import iterate
from wsnb.papers.panoptic.boxes import load_boxes
from wsnb.papers.panoptic.label_space import CITYSCAPES
from wsnb.papers.panoptic.predict import load_scores

SEMI = {"label_source": "share", "full_share": 0.5, "extra_split": "train_extra"}
WEAK = ("01_crops", "02_cams", "03_boxes", "04_masks", "05_labels")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "cityscapes"
    make_cityscapes.write(folder, counts={"train": 4, "val": 2, "train_extra": 2}, size=(64, 128))
    return folder


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """An uninterrupted run of the whole chain: kick-off, two rounds, instances, evaluation, bound; half of train with
    whole masks, the others and train_extra with weak labels."""
    runs = tmp_path_factory.mktemp("whole")
    done = chain.run(data, runs, **SEMI)
    assert done.returncode == 0, done.stdout
    return runs


def hashes(folder, pattern="*"):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob(pattern))}


def test_every_stage_is_done_and_reports(whole):
    names = [*WEAK, "06_train", "07_predict", "08_iterate", "06_train@2", "07_predict@2", "08_iterate@2",
             "09_instances", "10_evaluate", "11_bound"]
    for name in names:
        assert (chain.stage(whole, name) / "manifest.json").is_file(), name
    quality = chain.manifest(whole, "08_iterate@2")["notes"]["label_quality"]
    assert [row["round"] for row in quality] == [0, 1, 2]
    ladder = {r["step"] for r in chain.manifest(whole, "05_labels")["results"]}
    assert ladder == {"kick-off labels, train"}
    for name in ("10_evaluate", "11_bound"):
        of = {r["name"]: r for r in chain.manifest(whole, name)["results"] if r["name"].startswith(("PQ", "AP"))}
        assert of and all(row.get("counts") for row in of.values())  # of single pictures
    bound = chain.manifest(whole, "11_bound")["results"]
    assert {r["role"] for r in bound if r["protocol"]} == {"bound"}
    assert {r["protocol"]["supervision"] for r in bound if r["protocol"]} == {"full"}


def test_files_are_in_the_released_formats(whole, data):
    name = "shapes_000000_000000"
    found = load_boxes(chain.stage(whole, "03_boxes") / f"boxes/{name}.mat", CITYSCAPES.names)
    scores = load_scores(chain.stage(whole, "07_predict") / f"scores/{name}.mat")
    labels = read_index(chain.stage(whole, "07_predict") / f"labels/{name}.png")
    assert scores.dtype == np.float32 and scores.shape == labels.shape == (64, 128) and 0 < scores.min() <= 1
    assert found.stuff.any() and (~found.stuff).any()
    mandg = read_index(chain.stage(whole, "04_masks") / f"mandg/{name}.png")
    assert set(np.unique(mandg)) <= {0, 255, *CITYSCAPES.things}
    final = read_index(chain.stage(whole, "08_iterate") / f"labels/{name}.png")
    assert set(np.unique(final)) <= {*range(19), 255}


def test_predictions_are_the_maps_of_the_run(data, whole):
    model = agrees_with_its_run(whole, "panoptic/shapes", data)
    assert model.predictor.same_as == ("07_predict@2", "val_labels")
    for path in sorted((chain.stage(whole, "09_instances") / "components").glob("*.png")):
        picture, = (one for one in data.rglob(f"{path.stem}*") if is_picture(one))
        assert np.array_equal(model.instances(read_rgb(picture))[0], read_numbers(path))


def test_nothing_is_done_twice(data, whole):
    again = chain.run(data, whole, **SEMI)
    assert again.returncode == 0 and again.stdout.count("done already") == 14, again.stdout


def test_dropped_in_files_replace_the_stages_work(data, whole, tmp_path):
    """CAM labels, boxes and M&G labels under the authors' names give the same kick-off labels as one's own."""
    given = {"cam_dir": ("02_cams/labels", ".png"), "boxes_dir": ("03_boxes/boxes", ".mat"),
             "mandg_dir": ("04_masks/mandg", ".png")}
    for name, (source, suffix) in given.items():
        (tmp_path / name).mkdir()
        for path in chain.stage(whole, source).glob(f"*{suffix}"):
            shutil.copy(path, tmp_path / name / f"{path.stem}_leftImg8bit{suffix}")
    folders = {name: tmp_path / name for name in given}
    done = chain.run(data, tmp_path / "runs", "--until", "05_labels", **SEMI, **folders)
    assert done.returncode == 0, done.stdout
    for kind in ("labels", "instances"):
        assert hashes(chain.stage(tmp_path / "runs", "05_labels") / kind) == hashes(
            chain.stage(whole, "05_labels") / kind)
    next((tmp_path / "mandg_dir").iterdir()).unlink()
    refused = chain.run(data, tmp_path / "runs", "--until", "04_masks", **SEMI, **folders)
    assert refused.returncode != 0 and "mandg_dir: " in refused.stdout and "complete the folder" in refused.stdout


def test_killed_while_labels_are_made(data, whole, tmp_path):
    """SIGKILL in the label stage; the next run keeps what is whole and ends with the same files."""
    def start(runs):
        command.give([chain.stage(whole, name) for name in (*WEAK, "06_train", "07_predict")], runs)
        return chain.start(data, runs, "--until", "08_iterate", **SEMI)

    runs, _ = killed(start, partial(chain.stage, name="08_iterate"),
                     lambda folder: len(list(folder.glob("labels/*.png"))) > 1, tmp_path)
    done = chain.run(data, runs, "--until", "08_iterate", **SEMI)
    assert done.returncode == 0, done.stdout
    for kind in ("labels", "instances"):
        assert hashes(chain.stage(runs, "08_iterate") / kind) == hashes(chain.stage(whole, "08_iterate") / kind)


def test_whole_masks_need_no_weak_labels(data, tmp_path):
    without = dict.fromkeys(("crop_input", "cam_epochs", "cam_flip"))
    done = chain.run(data, tmp_path, experiment="panoptic/cityscapes_full", backbone="tiny", **without,
                     weights="random", freeze="false", output_stride=0, head="largefov", head_rates="[]", device="cpu")
    assert done.returncode == 0, done.stdout
    notes = chain.manifest(tmp_path, "06_train", "panoptic/cityscapes_full")["notes"]
    assert notes["whole masks"] == 4 and notes["label_quality"] == []


def test_semi_supervision_and_coarse_pictures(whole):
    assert chain.manifest(whole, "06_train")["notes"]["whole masks"] == 2
    labels, instances = (chain.stage(whole, "08_iterate") / kind for kind in ("labels", "instances"))
    assert len(list(labels.glob("*.png"))) == 6 and len(list(instances.glob("*.png"))) == 4  # coarse ones have none


def test_scenes_of_which_nothing_is_known(tmp_path):
    """No tag in any crop, no box: the labels are empty, and their quality is undefined, not 0."""
    folder = tmp_path / "cityscapes"
    make_cityscapes.write(folder, counts={"train": 2, "val": 1, "train_extra": 0}, size=(64, 128))
    for path in (folder / "gtFine").rglob("*_gtFine_labelIds.png"):
        save_png(path, read_index(path) * 0)
        empty = np.zeros((64, 128), np.uint16)
        Image.fromarray(empty).save(path.with_name(path.name.replace("labelIds", "instanceIds")))
    done = chain.run(folder, tmp_path / "runs", "--until", "05_labels")
    assert done.returncode == 0, done.stdout
    record = chain.manifest(tmp_path / "runs", "05_labels")
    assert record["results"] == [] and record["notes"]["label_quality"][0]["mIoU"] is None
    for path in (chain.stage(tmp_path / "runs", "05_labels") / "labels").glob("*.png"):
        assert (read_index(path) == 255).all()


def test_the_checkboxes_answer_at_once(whole, data):
    """Switching a rule off and drawing the four pictures takes less than 0.3 s (twice that under the tests' load)."""
    from wsnb.data import read
    from wsnb.papers.panoptic import cleanup, figures

    item = read.items("cityscapes", data, "train")[0]
    stage = {name: chain.stage(whole, name) for name in ("01_crops", "03_boxes", "04_masks", "07_predict")}
    options = cleanup.Options(score_thresh=0.3)
    predicted = stage["07_predict"]
    folders = iterate.Folders(predicted / "labels", predicted / "scores", stage["04_masks"] / "mandg",
                              stage["03_boxes"] / "boxes", stage["01_crops"] / "tags")
    inputs, image = iterate.read_inputs(item.id, options, folders), read.image(item)
    show = figures.rules(image, inputs, options, CITYSCAPES)
    show()
    start = time.process_time()
    show(low_iou=False).jpeg()
    assert time.process_time() - start < 0.6
