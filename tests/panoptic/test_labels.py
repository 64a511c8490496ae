"""The label pipeline on hand-made arrays: crops, boxes, files, the five rules, instances; and odd pictures."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import scipy.io

from tests.parity import panoptic as parity
from wsnb.files import FileError, read_index, save_npz, save_png
from wsnb.papers.panoptic import boxes, cleanup, data, iterate
from wsnb.papers.panoptic.boxes import load_boxes, save_boxes
from wsnb.papers.panoptic.cleanup import instance_labels
from wsnb.papers.panoptic.label_space import CITYSCAPES, IGNORE
from wsnb.papers.panoptic.predict import load_scores, save_scores, scores_file, write_predictions

ROOT = Path(__file__).parents[2]
CAR, PERSON = 13, 11


def one(label, *corners, group=0, stuff=0):
    return (label, *corners, group, stuff)


def test_arrays_of_the_original_program():
    words = [sys.executable, "-m", "tests.parity", "tests/goldens/panoptic"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 7 and done.stdout.count("  ok") == 7


@pytest.mark.parametrize("name, key", [("synth_boxes", "chain_ins03"), ("synth_tags", "crop16x20"),
                                       ("merge_table_256x256", "merged")])
def test_a_wrong_array_fails(tmp_path, name, key):
    arrays = dict(np.load(ROOT / f"tests/goldens/panoptic/{name}.npz"))
    arrays[key] = arrays[key].copy()
    arrays[key].flat[7] ^= 1
    np.savez(tmp_path / f"{name}.npz", **arrays)
    bad = [check.name for check in parity.HANDLERS[name](tmp_path / f"{name}.npz") if not check.ok]
    assert bad and bad[0].startswith(key[:6])


def test_handlers_for_every_file_that_the_original_made():
    assert {"variants", "synth_ins_overflow", "eval_synth", "dets_demo_octave", "iter_default_sem",
            "bbox_struct_demo", "crops_demo", "variant_iter_ichk101_no_mandg_alter"} <= set(parity.HANDLERS)


def test_more_than_255_instances(tmp_path):
    rng = np.random.default_rng(0)
    sem = rng.integers(11, 14, (120, 160)).astype(np.uint8)
    corners = rng.integers((0, 0), (155, 115), (270, 2))
    table = np.array([(11 + k % 3, x, y, x + 4, y + 4, 0, 0) for k, (x, y) in enumerate(corners)])
    table = np.unique(table, axis=0)
    found = parity.inclusive(table)
    out = instance_labels(sem, found)
    assert len(out.labels) == len(table) > 256 and out.ids.max() == IGNORE and out.lost[-1] == len(table)
    ids = np.arange(1, len(table) + 1)
    arrays = {"in_sem": sem, "in_box": table, "ins": out.ids, "ins_id": ids, "ins_class": out.labels}
    np.savez(tmp_path / "synth_ins_overflow.npz", **arrays)
    assert all(c.ok for c in parity.HANDLERS["synth_ins_overflow"](tmp_path / "synth_ins_overflow.npz"))
    arrays["ins"] = np.where(out.ids == 3, 4, out.ids).astype(np.uint8)
    np.savez(tmp_path / "synth_ins_overflow.npz", **arrays)
    assert not all(c.ok for c in parity.HANDLERS["synth_ins_overflow"](tmp_path / "synth_ins_overflow.npz"))


@pytest.mark.parametrize("side, crop, found", [(2048, 500, [0, 387, 774, 1161, 1548]), (1024, 400, [0, 312, 624]),
                                               (10, 10, [0]), (20, 10, [0, 10]), (64, 17, [0, 15, 30, 45])])
def test_starts_of_crops(side, crop, found):
    assert data.starts(side, crop) == found


def test_crops_that_do_not_fit():
    for side, crop in ((10, 11), (10, 0)):
        with pytest.raises(ValueError, match="crop of"):
            data.starts(side, crop)
    assert data.crop_size((1024, 2048), (0, 0)) == (400, 500) and data.crop_size((360, 480), (100, 0)) == (100, 117)


def test_tags_of_crops_and_a_crop_without_any():
    labels = np.full((20, 30), IGNORE, np.uint8)
    labels[0, 0] = CAR
    places = data.windows(labels.shape, (10, 10))
    tags = data.window_tags(labels, places, 19)
    assert places[:2].tolist() == [[0, 0, 10, 10], [10, 0, 20, 10]]  # column after column
    assert tags[0].tolist() == [k == CAR for k in range(19)] and not tags[1:].any()
    seen = cleanup.tag_rule(np.full((20, 30), CAR, np.uint8), places, tags)
    assert (seen[:10, :10] == CAR).all() and (seen == CAR).sum() == 100  # nothing is left where no tag is
    with pytest.raises(ValueError, match="label 19"):
        data.window_tags(np.full((20, 30), 19, np.uint8), places, 19)


def test_boxes_of_instances_groups_and_stuff():
    ids = np.full((6, 8), IGNORE, np.uint16)
    ids[0], ids[1, 2:4], ids[3:5, 5:7], ids[5, 0], ids[5, 7], ids[2, 2] = 0, 13000, 13001, 11, 11, 1000
    found = boxes.from_instance_ids(ids, CITYSCAPES)
    assert found.labels.tolist() == [0, PERSON, CAR, CAR]
    assert found.boxes.tolist() == [[0, 0, 8, 6], [0, 5, 8, 6], [2, 1, 4, 2], [5, 3, 7, 5]]
    assert found.groups.tolist() == [False, True, False, False] and found.stuff.tolist() == [True, False, False, False]
    assert len(boxes.from_instance_ids(ids, CITYSCAPES, groups=False)) == 3
    with pytest.raises(ValueError, match="class 19"):
        boxes.from_instance_ids(np.array([[18500]], np.uint16), CITYSCAPES)


def test_box_files_keep_objects_and_bytes(tmp_path):
    found = boxes.objects([one(0, 0, 0, 8, 6, stuff=1), one(6, 2, 1, 4, 2), one(PERSON, 0, 0, 3, 3, group=1)])
    for name in ("a", "b"):
        save_boxes(tmp_path / f"{name}.mat", found, CITYSCAPES.names)
    assert (tmp_path / "a.mat").read_bytes() == (tmp_path / "b.mat").read_bytes()
    back = load_boxes(tmp_path / "a.mat", CITYSCAPES.names)
    for field in ("boxes", "labels", "groups", "stuff"):
        assert np.array_equal(getattr(back, field), getattr(found, field))
    entry = scipy.io.loadmat(tmp_path / "a.mat")["dets"]["annotation"][0, 0]["object"][0, 0][0, 1]
    assert entry["name"][0] == "traffic light" and entry["bndbox"]["xmax"][0, 0][0] == "3"  # text, inclusive
    with pytest.raises(FileError, match="unknown"):
        load_boxes(tmp_path / "a.mat", CITYSCAPES.names[:5])
    (tmp_path / "cut.mat").write_bytes((tmp_path / "a.mat").read_bytes()[:200])
    for name in ("cut", "none"):
        with pytest.raises(FileError, match=name):
            load_boxes(tmp_path / f"{name}.mat", CITYSCAPES.names)


def test_scores_keep_float32(tmp_path):
    scores = np.random.default_rng(0).random((5, 7), np.float32)
    save_scores(tmp_path / "s.mat", scores)
    assert np.array_equal(load_scores(tmp_path / "s.mat"), scores)
    scipy.io.savemat(tmp_path / "other.mat", {"anything": scores})  # the first field, whatever its name
    assert np.array_equal(load_scores(tmp_path / "other.mat"), scores)


def test_score_rule_keeps_equality():
    scores = np.array([[0.98, 0.99, 0.995]], np.float32)
    assert cleanup.score_rule(np.array([[1, 2, 3]], np.uint8), scores).tolist() == [[IGNORE, 2, 3]]


def test_merge_rule():
    p = np.array([[CAR, CAR, CAR, 2, 2, 2, IGNORE, IGNORE, 99]], np.uint8)
    m = np.array([[PERSON, 0, IGNORE, PERSON, 0, IGNORE, PERSON, 0, PERSON]], np.uint8)
    wanted = [[PERSON, IGNORE, IGNORE, PERSON, 2, 2, PERSON, IGNORE, IGNORE]]
    assert cleanup.merge_rule(p, m).tolist() == wanted
    with pytest.raises(ValueError, match="one size"):
        cleanup.merge_rule(p, m[:, 1:])


def test_box_rule_knows_groups_and_classes_without_box():
    p = np.array([[CAR, CAR, PERSON, 2]], np.uint8)
    found = boxes.objects([one(CAR, 0, 0, 1, 1, group=1)])
    assert cleanup.box_rule(p, found).tolist() == [[CAR, IGNORE, IGNORE, 2]]


def test_low_iou_rule_by_hand():
    p = np.full((8, 8), 2, np.uint8)
    p[1, 1] = PERSON
    large, small = one(CAR, 0, 0, 8, 8), one(PERSON, 2, 2, 5, 5)
    out = cleanup.low_iou_rule(p, boxes.objects([small, large]))
    assert (out[0] == 2).all() and (out[:, 0] == 2).all()  # the box loses its first row and column
    assert out[1, 1] == PERSON and out[1, 2] == CAR and (out[3:5, 3:5] == PERSON).all()  # small ones are in front
    altered = cleanup.low_iou_rule(p, boxes.objects([large]), keep_things=False)
    assert altered[1, 1] == CAR
    for flat in (one(CAR, 3, 3, 4, 8), one(CAR, 3, 3, 8, 8, group=1)):  # one pixel wide; a group
        assert np.array_equal(cleanup.low_iou_rule(p, boxes.objects([flat])), p)


def test_instances_of_overlapping_and_double_boxes():
    sem = np.full((4, 8), CAR, np.uint8)
    found = boxes.objects([one(CAR, 0, 0, 5, 4), one(CAR, 0, 0, 5, 4, group=1), one(CAR, 3, 0, 7, 4),
                           one(2, 0, 0, 8, 4)])
    out = instance_labels(sem, found)
    assert out.ids[0].tolist() == [1, 1, 1, IGNORE, IGNORE, 2, 2, 0]
    assert out.labels.tolist() == [CAR, CAR, 2] and out.lost == (3,)


NOTHING = boxes.objects([])
GROUPS = boxes.objects([one(CAR, 0, 0, 10, 8, group=1)])
OUTSIDE = boxes.objects([one(CAR, 100, 100, 120, 120), one(CAR, -20, -20, 3, 3)])


@pytest.mark.parametrize("found", [NOTHING, GROUPS, OUTSIDE], ids=["no object", "only groups", "outside"])
def test_odd_pictures_go_through_the_whole_chain(found, tmp_path):
    p = np.full((16, 20), CAR, np.uint8)
    p[8:] = 0
    mandg = np.where(p == CAR, CAR, 0).astype(np.uint8)
    places = data.windows(p.shape, (8, 10))
    save_boxes(tmp_path / "b.mat", found, CITYSCAPES.names)
    found = boxes.clipped(load_boxes(tmp_path / "b.mat", CITYSCAPES.names), p.shape)
    opts = cleanup.Options(run_score_thresh=False)
    after, last = cleanup.clean(p, opts, None, (places, data.window_tags(p, places, 19)), mandg, found)
    assert list(after) == list(cleanup.RULES[1:]) and (last[8:] == 0).all()
    out = instance_labels(last, found)
    if found.boxes.size == 0:
        assert (last[:8] == IGNORE).all() and set(np.unique(out.ids)) == {0, IGNORE} and not len(out.labels)
    elif found.groups.any():
        assert (last[:8, :10] == CAR).all() and (last[:8, 10:] == IGNORE).all()  # a group keeps pixels, claims none
        assert set(np.unique(out.ids)) == {0, IGNORE} and not len(out.labels)
    else:  # the first lies wholly outside and stays in the list without a pixel; the second is cut
        assert (last[:3, :3] == CAR).all() and (last == CAR).sum() == 9
        assert out.lost == (1,) and (out.ids[:3, :3] == 2).all()


def test_a_rule_without_its_input_says_so():
    with pytest.raises(ValueError, match="run_score_thresh is on"):
        cleanup.clean(np.zeros((4, 4), np.uint8), cleanup.Options())


def test_options_of_the_original():
    default = cleanup.Options()
    assert default.score_thresh == 0.99 and default.ichk_thresh == 0.5
    coarse = cleanup.for_coarse_annotations(default)
    assert not (coarse.run_apply_bbox_prior or coarse.run_check_image_level_tags or coarse.save_ins)
    assert not cleanup.without_mandg(default).run_merge_with_mcg_and_grabcut
    with pytest.raises(TypeError, match="threshold"):
        replace(default, threshold=1)


def test_a_picture_is_written_once(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 19, (32, 64)).astype(np.uint8)
    ids = labels.astype(np.uint16)
    ids[4:12, 4:20] = 13000
    places = data.windows(labels.shape, (16, 32))
    folders = iterate.Folders(*(tmp_path / name for name in ("predictions", "scores", "mandg", "boxes", "tags")))
    save_png(folders.predictions / "a.png", labels)
    save_png(folders.mandg / "a.png", np.where(ids == 13000, 13, 0).astype(np.uint8))
    save_scores(folders.scores / "a.mat", np.where(labels % 2, 0.995, 0.5))
    save_boxes(folders.boxes / "a.mat", boxes.from_instance_ids(ids, CITYSCAPES), CITYSCAPES.names)
    save_npz(folders.tags / "a.npz", windows=places, tags=data.window_tags(labels, places, 19).astype(np.uint8))

    def written():
        return iterate.write_cleaned(("a", cleanup.Options()), folders, tmp_path)

    record = written()
    assert list(record["changed"]) == list(cleanup.RULES) and record["pixels"] == 32 * 64
    path, instance = tmp_path / "labels/a.png", tmp_path / "instances/a.png"
    first = read_index(path)
    assert (first[first != IGNORE] % 2 == 1).any() and instance.exists() and instance.with_suffix(".json").exists()
    save_png(path, np.zeros((32, 64), np.uint8))
    assert written() == {} and not read_index(path).any()
    path.unlink()
    assert written() == record and np.array_equal(read_index(path), first)
    instance.with_suffix(".json").unlink()
    save_scores(folders.scores / "a.mat", np.zeros((5, 5)))
    with pytest.raises(FileError, match="make both alike"):
        written()


def test_predictions_are_written_by_workers_whole_or_reduced(tmp_path):
    rng = np.random.default_rng(0)
    made = {name: (rng.integers(0, 19, (32, 64)).astype(np.uint8), cv2.blur(rng.random((32, 64), np.float32), (9, 9)))
            for name in "abc"}
    items = [SimpleNamespace(id=name) for name in made]
    for stride, workers, near in ((0, 1, 0.0), (4, 2, 0.1)):
        folder = tmp_path / str(stride)
        left = dict(made)
        for _ in range(2):  # what is there stays, and is not predicted again
            written = write_predictions(lambda item, left=left: left.pop(item.id), items, folder, CITYSCAPES.palette,
                                        stride, workers)
            assert len(list(written)) == 3 and not left
        for name, (label, score) in made.items():
            path = scores_file(folder / "scores", name)
            assert path.suffix == (".npz" if stride else ".mat")
            assert np.array_equal(read_index(folder / f"labels/{name}.png"), label)
            assert np.abs(load_scores(path, label.shape) - score).max() <= near
    assert load_scores(path).shape == (8, 16)
