"""From pictures and probabilities on disk to results: hard pictures in the Cityscapes layout."""

import numpy as np
import pytest
from PIL import Image

from wsnb.data import read
from wsnb.files import FileError, save_npz, save_png
from wsnb.metrics import counts, instances
from wsnb.ops.crf import CRF
from wsnb.papers.panoptic import evaluate, instance_network, label_space
from wsnb.report.protocol import Protocol

PLAIN = {"field": CRF(iterations=0), "min_pixels": 1}
CITY = label_space.CITYSCAPES


def scene(kind):
    """(class mask uint8, instance train ids uint16) of a picture of 40 x 60."""
    mask = np.zeros((40, 60), np.uint8)  # road
    mask[:10] = 10  # sky
    ids = mask.astype(np.uint16)
    if kind == "groups":
        mask[20:30, 10:30], ids[20:30, 10:30] = 13, 13
    if kind == "cars":
        for k, x in enumerate((5, 25)):
            mask[20:34, x:x + 15], ids[20:34, x:x + 15] = 13, 13000 + k
    if kind == "void":
        mask[20:30, 10:30] = 255
        ids[20:30, 10:30] = 13000
    if kind == "crowded":  # 300 people of two pixels
        for k in range(300):
            y, x = 12 + 2 * (k // 30), 2 * (k % 30)
            mask[y, x:x + 2] = 11
            ids[y, x:x + 2] = 11000 + k
    return mask, ids


@pytest.fixture
def pictures(tmp_path):
    def make(*kinds):
        for kind in kinds:
            mask, ids = scene(kind)
            name = f"town_000000_{kind}"
            images, labels = tmp_path / "leftImg8bit/val/town", tmp_path / "gtFine/val/town"
            save_png(images / f"{name}_leftImg8bit.png", np.full((*mask.shape, 3), 90, np.uint8))
            save_png(labels / f"{name}_gtFine_labelTrainIds.png", mask)
            Image.fromarray(ids).save(labels / f"{name}_gtFine_instanceTrainIds.png")
            q = np.full((19, *mask.shape), 0.01, np.float32)
            np.put_along_axis(q, np.where(mask == 255, 0, mask).astype(int)[None], 0.82, 0)
            save_npz(tmp_path / "q" / f"{name}.npz", probabilities=q.astype(np.float16))
        return tmp_path, read.items("cityscapes", tmp_path, "val")

    return make


def scored(root, items, detector, **more):
    settings = instance_network.Settings(detector, **{**PLAIN, **more})
    rows = list(instance_network.write_all(items, root / "q", CITY, settings, root / detector, workers=0))
    return rows, *counted(root, items, detector)[:2]


def counted(root, items, detector):
    """(scores by class, rows of pictures, counts of single pictures) of the maps of a detector."""
    tallies, per_picture = evaluate.tallies(items, {detector: root / detector}, CITY)
    return evaluate.by_class(tallies[detector], CITY), per_picture, tallies[detector].counts()


def test_no_object(pictures):
    rows, table, per_picture = scored(*pictures("none"), "components")
    assert rows == [{"id": "town_000000_none", "detections": 0, "instances": 0}] and per_picture[0]["PQ"] == 1
    assert table["PQ"][[0, 10]].tolist() == [1, 1] and np.isnan(np.delete(table["PQ"], [0, 10])).all()


def test_only_groups_are_neither_asked_for_nor_punished(pictures):
    rows, table, _ = scored(*pictures("groups"), "components")
    assert rows[0]["instances"] == 1  # the group is predicted as one car
    assert np.isnan(table["PQ, COCO"][13]) and np.isnan(table["AP, Cityscapes"][13])
    assert table["PQ"][13] == 0  # the authors' program counts a prediction wholly in void
    assert np.isnan(table["PQ, fixed"][13])


def test_an_instance_wholly_in_void(pictures):
    rows, table, _ = scored(*pictures("void"), "ground truth")
    assert rows[0]["detections"] == 0 and np.isnan(table["PQ"][13]) and table["PQ"][0] == 1


def test_300_instances(pictures):
    root, items = pictures("crowded")
    rows, table, _ = scored(root, items, "ground truth")
    assert rows[0]["instances"] == 300 and table["PQ"][11] == table["PQ, COCO"][11] == 1
    with Image.open(root / "ground truth" / f"{items[0].id}.png") as image:
        ids = np.array(image)
    assert ids.dtype == np.uint16 and ids.max() == 303 and 255 not in ids


def test_several_pictures_and_their_results(pictures):
    root, items = pictures("none", "groups", "cars", "crowded")
    _, table, per_picture = scored(root, items, "components")
    _, perfect, _ = scored(root, items, "ground truth")
    assert perfect["PQ, COCO"][13] == 1 and len(per_picture) == 4
    assert table["PQ"][11] == 0  # 300 people in rows are 10 components
    confusion = np.diag(np.bincount([0, 0, 10, 11, 13], minlength=19))
    common = {"dataset": "toy", "dataset_size": 4, "split": "val"}
    of = {detector: counted(root, items, detector)[2] for detector in ("components", "ground truth")}
    results = evaluate.results({"components": table, "ground truth": perfect}, of, confusion, common, "", CITY)
    for row in counts.kept(root, results):  # refused where the counts do not give the value
        assert ("counts" in row) == row["name"].startswith(("PQ", "AP"))
    for place in range(4):  # drawn without one picture: the scores of the other three
        others = evaluate.by_class(evaluate.tallies(items[:place] + items[place + 1:],
                                                    {"components": root / "components"}, CITY)[0]["components"], CITY)
        left_out = sorted(item.id for item in items).index(items[place].id)
        for name, kept in of["components"].items():
            value = counts.weighted(kept["counts"], kept["measure"], 1 - np.eye(4))[left_out]
            assert value == pytest.approx(100 * instances.mean(others[name]), rel=1e-12, nan_ok=True), name
    names = [(row["name"], row.get("role")) for row in results]
    assert len(names) == len({(r["name"], str(r["protocol"])) for r in results})
    assert ("PQ (things)", None) in names and ("PQ (things)", "bound") in names and ("IoU (stuff)", None) in names
    for row in results:
        Protocol.from_dict(Protocol(**row["protocol"]).as_dict())
    by_name = {row["name"]: row for row in results if row.get("role") is None}
    assert by_name["PQ, fixed (all)"]["protocol"]["preset"] == "fixed"
    assert by_name["PQ, COCO (all)"]["protocol"]["matching"] == "COCO"
    assert by_name["AP, Cityscapes (things)"]["protocol"]["iou_thresholds"][0] == 0.5
    assert by_name["PQ (all)"]["value"] == pytest.approx(100 * np.nanmean(table["PQ"]))


def test_a_finished_picture_is_kept_and_a_damaged_one_made_again(pictures):
    root, items = pictures("cars")
    scored(root, items, "components")
    path = root / "components" / f"{items[0].id}.png"
    whole = path.read_bytes()
    stamp = path.stat().st_mtime_ns
    scored(root, items, "components")
    assert path.stat().st_mtime_ns == stamp
    path.write_bytes(whole[:30])
    scored(root, items, "components")
    assert path.read_bytes() == whole


def test_a_missing_map_is_an_error(pictures):
    root, items = pictures("cars")
    with pytest.raises(FileError, match="run the stage again"):
        evaluate.tallies(items, {"nothing": root / "nothing"}, CITY)


def test_detections_from_files(pictures):
    root, items = pictures("cars")
    folder = root / "boxes"
    folder.mkdir()
    lines = ("car 5 20 19 33 0.9", "car 25 20 39 33 0.8", "road 0 0 5 5 0.9", "car 0 0 9 9 0.1")
    (folder / f"{items[0].id}.txt").write_text("\n".join(lines))
    rows, table, _ = scored(root, items, "files", detections_dir=str(folder))
    assert rows[0]["detections"] == 2 and table["PQ"][13] == 1
