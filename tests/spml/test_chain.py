"""The chapter by the real command on small synthetic data: two rounds for tags, points of DensePose, odd sets."""

import numpy as np
import pytest

from tests.predicted import agrees_with_its_run
from tests.spml import chain
from wsnb.data.synthetic import make_densepose, make_voc
from wsnb.files import load_npz, read_index, save_png


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_voc.shapes(tmp_path_factory.mktemp("data") / "VOCdevkit", train=6, val=3, size=(64, 80))


@pytest.fixture(scope="module")
def tags(data, tmp_path_factory):
    runs = tmp_path_factory.mktemp("tags")
    done = chain.run("shapes_tag", data, runs, cam_epochs=1, cam_crop=48, cam_batch=3, walk_crf="[1, 0]",
                     annotation="its length chosen with 2 masks", tuned_masks=2)
    assert done.returncode == 0, done.stdout
    return runs


def test_every_stage_leaves_what_it_says(tags):
    for stage, place, count in (("01_regions", "regions", 6), ("03_weak_masks", "weak", 6),
                                ("05_pseudo_labels", "walk_crf", 6), ("05_pseudo_labels@2", "walk", 6),
                                ("07_retrieval@2", "labels", 6), ("07_retrieval@2", "retrieval_crf", 3),
                                ("09_inference", "softmax_crf", 3), ("09_inference", "joint", 3)):
        found = sorted((chain.folder(tags, "shapes_tag", stage) / place).glob("*.png"))
        assert len(found) == count, (stage, place)
        assert all(read_index(path).shape == (64, 80) for path in found)
    prototypes = sorted((chain.folder(tags, "shapes_tag", "06_prototypes@2") / "prototypes").glob("*.npz"))
    assert len(prototypes) == 6 and load_npz(prototypes[0])["prototype"].shape[1] == 8


def test_the_second_round_reads_the_first_classifier(tags):
    log = (chain.folder(tags, "shapes_tag", "05_pseudo_labels@2") / "log.txt").read_text()
    assert "round 2: seeds softmax, 1 steps, without CRF" in log
    assert not (chain.folder(tags, "shapes_tag", "05_pseudo_labels@2") / "walk_crf").exists()


def test_results_of_all_kinds_with_their_protocols(tags):
    record = chain.manifest(tags, "shapes_tag", "10_evaluate")
    assert record["notes"]["annotations"] == {"pictures": 6, "tags": 6 * 5, "masks": 2}  # those chose something
    assert {(r["protocol"]["supervision"], r["protocol"]["annotation"]) for r in record["results"]} == {
        ("image labels", "its length chosen with 2 masks"), ("none", "")}
    kinds = {(r["protocol"]["method"], bool(r["protocol"]["crf"])) for r in record["results"] if r["name"] == "mIoU"}
    methods = ("SPML, softmax classifier", "SPML, joint softmax head", "SPML, nearest-neighbour retrieval")
    assert kinds == {(m, crf) for m in methods for crf in (False, True)} | {("all background", False)}
    assert all(0 <= r["value"] <= 100 for r in record["results"])
    assert {r["protocol"]["supervision"] for r in record["results"]} == {"image labels", "none"}


def test_predictions_are_the_label_maps_of_the_run(data, tags):
    model = agrees_with_its_run(tags, "spml/shapes_tag", data)
    assert model.predictor.same_as == ("09_inference", "softmax_crf")


def test_points_of_densepose(tmp_path):
    data = make_densepose.write(tmp_path / "densepose", {"train": 4, "minival": 2}, size=(64, 80))
    done = chain.run("shapes_densepose", data, tmp_path / "runs", "--until", "05_pseudo_labels", limit=4, iterations=2,
                     head_width=8, batch=2, walk_crf="[1]")
    assert done.returncode == 0, done.stdout
    record = chain.manifest(tmp_path / "runs", "shapes_densepose", "04_embedding")
    assert "loss of feature_affinity" in {r["name"] for r in record["results"]}
    found = sorted((chain.folder(tmp_path / "runs", "shapes_densepose", "05_pseudo_labels") / "walk_crf").glob("*.png"))
    assert len(found) == 4 and all(read_index(path).max() <= 255 for path in found)


def test_pictures_without_anything_to_learn(tmp_path):
    """One picture a step: without foreground, or all void."""
    data = make_voc.shapes(tmp_path / "VOCdevkit", train=3, val=1, size=(48, 64))
    for kind in ("SegmentationClass", "SegmentationObject"):
        for k, path in enumerate(sorted((data / "VOC2012" / kind).glob("*.png"))):
            mask = np.full_like(read_index(path), (0, 255)[k % 2])
            if k == 2:
                mask[0, 0] = 1  # a set of 0 and 255 alone is refused
            save_png(path, mask)
    done = chain.run("shapes_point", data, tmp_path / "runs", "--until", "04_embedding", limit=3, iterations=3, batch=1)
    assert done.returncode == 0, done.stdout
    losses = chain.manifest(tmp_path / "runs", "shapes_point", "04_embedding")["results"]
    assert all(np.isfinite(r["value"]) for r in losses)
