"""Lists of the originals by the real command: weak masks as masks, pictures without masks; and a released head."""

from functools import partial

import numpy as np
import pytest
import torch

from tests.spml import chain
from wsnb.data import read
from wsnb.data.synthetic import make_voc
from wsnb.files import load_torch, read_index, save_png

CAM = ("limit", "threads", "workers")


@pytest.fixture
def listed(tmp_path):
    """A data set, and a list of its training pictures whose masks are weak: codes above the classes are unlabelled."""
    root = make_voc.shapes(tmp_path / "VOCdevkit", train=4, val=3, size=(64, 80))
    lines = []
    (tmp_path / "cams").mkdir()
    for item in read.items("voc", root, "train"):
        mask = read_index(item.mask)
        mask[::2] = 100
        save_png(root / "VOC2012/weak" / item.mask.name, mask)
        present = np.setdiff1d(np.unique(mask), (0, 100, 255))
        np.save(tmp_path / f"cams/{item.id}.npy", {int(key): np.ones(mask.shape, np.float32) for key in present - 1})
        lines.append(f"VOC2012/JPEGImages/{item.image.name} VOC2012/weak/{item.mask.name}")
    (tmp_path / "train_weak.txt").write_text("\n".join(lines) + "\n")
    return root


@pytest.mark.parametrize("official", [True, False], ids=["official CAMs", "own classifier"])
def test_cams_of_a_list_of_weak_masks(listed, tmp_path, official):
    more = {"cam_dir": tmp_path / "cams"} if official else {"cam_epochs": 1, "cam_crop": 48, "cam_batch": 2}
    done = chain.run("shapes_tag", listed, tmp_path / "runs", "--until", "03_weak_masks", only=CAM,
                     train_split=tmp_path / "train_weak.txt", weak_source="list", **more)
    assert done.returncode == 0, done.stdout
    assert len(list((chain.folder(tmp_path / "runs", "shapes_tag", "02_cam") / "cams").glob("*.npz"))) == 4
    for path in (chain.folder(tmp_path / "runs", "shapes_tag", "03_weak_masks") / "weak").glob("*.png"):
        assert (read_index(path)[::2] == 254).all()


@pytest.fixture(scope="module")
def unmeasured(tmp_path_factory):
    """The chain from points with test pictures that have no masks: (how it ended, its command again)."""
    place = tmp_path_factory.mktemp("points")
    root = make_voc.shapes(place / "VOCdevkit", train=4, val=3, size=(64, 80))
    names = (root / "VOC2012/ImageSets/Segmentation/val.txt").read_text()
    (root / "VOC2012/ImageSets/Segmentation/test.txt").write_text(names)
    for name in names.split():
        (root / f"VOC2012/SegmentationClass/{name}.png").unlink()
    run = partial(chain.run, "shapes_point", root, place / "runs", val_split="test", limit=4, batch=2, walk_crf="[0]")
    return run(), run, place / "runs"


def test_pictures_without_masks_are_labelled_and_not_measured(unmeasured):
    done, _, runs = unmeasured
    assert done.returncode != 0
    assert "val_split 'test': 3 of 3 pictures have no mask" in done.stdout
    for stage, place in (("07_retrieval", "retrieval_crf"), ("09_inference", "softmax_crf")):
        assert chain.manifest(runs, "shapes_point", stage)
        assert len(list((chain.folder(runs, "shapes_point", stage) / place).glob("*.png"))) == 3


def test_a_released_classifier_is_loaded_and_not_trained(unmeasured):
    _, run, runs = unmeasured
    released = chain.folder(runs, "shapes_point", "04_embedding") / "network.pth"
    done = run("--only", "08_classifier", classifier_checkpoint=released)
    assert done.returncode == 0 and "nothing is trained" in done.stdout, done.stdout
    wanted = load_torch(released)["prediction_model"]
    found = load_torch(chain.folder(runs, "shapes_point", "08_classifier") / "classifier.pth")
    assert wanted.keys() == found.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert chain.manifest(runs, "shapes_point", "08_classifier")["results"] == []
