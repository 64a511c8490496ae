"""The chain on the layout of the challenge: JSON lists, 200 classes, masks of class numbers."""

import pytest

from tests.no_people_allowed import chain
from wsnb.data import imagenet_det, make_imagenet_det
from wsnb.files import read_index

EXPERIMENT = "no_people_allowed/shapes_det"


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """(data set, runs folder) after the real command."""
    root = tmp_path_factory.mktemp("det")
    data = make_imagenet_det.write(root / "imagenet_det", {"train": 6, "val": 3}, (48, 64))
    done = chain.run(data, root / "runs", experiment=EXPERIMENT, limit=6, test_limit=2, centroid_steps=None)
    assert done.returncode == 0, done.stdout
    return data, root / "runs"


def test_masks_are_those_of_the_first_pictures_in_the_challenges_classes(ran):
    data, runs = ran
    tested = list(imagenet_det.items(data, "val"))[:2]
    for preset in ("faithful", "fixed"):
        masks = sorted((chain.stage(runs, "07_inference", EXPERIMENT) / preset).glob("*.png"))
        assert len(masks) == 2
        for path, item in zip(masks, sorted(tested, key=lambda item: item.id), strict=True):
            mask = read_index(path)
            assert item.id.endswith(path.stem) and mask.shape == imagenet_det.read_mask(item).shape
            assert mask.max() < imagenet_det.N_CLASSES


def test_scores_are_of_two_hundred_classes_and_background(ran):
    results = chain.manifest(ran[1], "08_evaluate", EXPERIMENT)
    found = chain.values(results)
    assert all(0 <= found["mIoU", "three-step (final)", preset] <= 100 for preset in ("faithful", "fixed"))
    first = results["results"][0]
    assert first["protocol"]["dataset"] == "shapes_det" and first["protocol"]["dataset_size"] == 2
    assert len(first["detail"]) == 201
