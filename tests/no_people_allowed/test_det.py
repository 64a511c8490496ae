"""The chain on the layout of the challenge as it is: JSON lists, 200 classes, masks of class numbers, and none for the
training pictures; then its test pictures, which have neither masks nor tags."""

import shutil
import zipfile

import pytest

from tests.no_people_allowed import chain
from wsnb.data import imagenet_det
from wsnb.data.synthetic import make_imagenet_det
from wsnb.files import read_index

EXPERIMENT = "no_people_allowed/shapes_det"
LESS = {"experiment": EXPERIMENT, "limit": 6, "test_limit": 2, "centroid_steps": None, "cam_threshold": 0.2}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """(data set, runs folder) after the real command."""
    root = tmp_path_factory.mktemp("det")
    data = make_imagenet_det.write(root / "imagenet_det", {"train": 6, "val": 3}, (48, 64))
    shutil.rmtree(data / "ILSVRC/Data/DET/train/masks")
    folder = data / "LID_track1/test"
    folder.mkdir()
    for item in imagenet_det.items(data, "val"):
        shutil.copy(item.image, folder / f"test_{item.id}.JPEG")
    (folder / "test.txt").write_text("".join(f"{path.stem}\n" for path in sorted(folder.glob("*.JPEG"))))
    done = chain.run(data, root / "runs", **LESS)
    assert done.returncode == 0, done.stdout
    return data, root / "runs"


def test_masks_are_those_of_the_first_pictures_in_the_challenges_classes(ran):
    data, runs = ran
    tested = list(imagenet_det.items(data, "val"))[:2]
    masks = sorted((chain.stage(runs, "07_inference", EXPERIMENT) / "labels").glob("*.png"))
    assert len(masks) == 2
    for path, item in zip(masks, sorted(tested, key=lambda item: item.id), strict=True):
        mask = read_index(path)
        assert item.id.endswith(path.stem) and mask.shape == imagenet_det.read_mask(item).shape
        assert mask.max() < imagenet_det.N_CLASSES


def test_scores_are_of_two_hundred_classes_and_background(ran):
    results = chain.manifest(ran[1], "08_evaluate", EXPERIMENT)
    assert 0 <= chain.values(results)["mIoU", "three-step (final)", "faithful"] <= 100
    first = results["results"][0]
    assert first["protocol"]["dataset"] == "shapes_det" and first["protocol"]["dataset_size"] == 2
    assert len(first["detail"]) == 201


def test_only_what_has_masks_is_scored_and_only_what_is_shown_is_labelled(ran):
    results = chain.manifest(ran[1], "08_evaluate", EXPERIMENT)
    assert {row["protocol"]["split"] for row in results["results"]} == {"val"}
    assert results["notes"]["gains"] == []
    assert set(results["notes"]["ladder"].values()) == {None}
    for name in ("02_cam", "03_labels", "05_walk"):
        assert chain.manifest(ran[1], name, EXPERIMENT)["results"] == []
    assert chain.manifest(ran[1], "03_labels", EXPERIMENT)["notes"]["threshold"] == 0.2
    labelled = list((chain.stage(ran[1], "07_inference", EXPERIMENT) / "labels_train").glob("*.png"))
    assert len(labelled) == 4


def test_pictures_without_tags_and_masks_are_labelled_and_packed_but_not_scored(ran):
    data, runs = ran
    done = chain.run(data, runs, "--until", "07_inference", **{**LESS, "test_limit": 0}, test_split="test")
    assert done.returncode == 0, done.stdout
    with zipfile.ZipFile(chain.stage(runs, "07_inference", EXPERIMENT) / "submission.zip") as archive:
        assert archive.namelist() == [f"test_val_{k:06d}.png" for k in range(3)]
    done = chain.run(data, runs, **{**LESS, "test_limit": 0}, test_split="test")
    assert done.returncode == 1 and "test_split 'test': 3 of 3 pictures have no mask" in done.stdout
