"""Labels of any origin: files as other programs write them, hand-made, become the label maps that they mean."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from wsnb.data.item import Item
from wsnb.files import FileError, save_npz, save_png
from wsnb.models import training
from wsnb.ops import cam, label_maps, segmenter
from wsnb.papers.student import evaluate, sources
from wsnb.report import cost

NAMES = ("background", "cat", "dog")
WANTED = np.array([[0, 1, 1, 2], [0, 1, 1, 2]], np.uint8)
MAPS = np.stack([WANTED == 1, WANTED == 2]).astype(np.float32)


@pytest.fixture
def item(tmp_path):
    save_png(tmp_path / "a.png", np.zeros((2, 4, 3), np.uint8))
    return Item("a", tmp_path / "a.png", None)


def write(folder, kind):
    """Write WANTED as KIND of file."""
    folder.mkdir(exist_ok=True)
    runs = [{"size": [2, 4], "counts": [2, 4, 2]}, [[3, 0, 3, 2, 4, 2, 4, 0]]]  # columns 1 and 2; a polygon: column 3
    if kind == "index":
        save_png(folder / "a.png", WANTED)
    elif kind == "ours":
        cam.write(folder, "a", [0, 1], MAPS * 7, (2, 4))
    elif kind == "npz":
        save_npz(folder / "a.npz", keys=np.array([1, 0]), high_res=MAPS[::-1])
    elif kind == "array":
        np.save(folder / "a.npy", MAPS)
    elif kind in ("irn", "seam"):
        irn = {"keys": np.array([0, 1]), "cam": MAPS[:, ::2], "high_res": MAPS}
        np.save(folder / "a.npy", irn if kind == "irn" else dict(enumerate(MAPS)), allow_pickle=True)
    elif kind == "results":
        (folder / "x.json").write_text(json.dumps([
            {"image_id": "a", "category_id": k, "segmentation": one, "score": 0.5} for k, one in enumerate(runs, 1)]))
    else:
        (folder / "x.json").write_text(json.dumps({
            "images": [{"id": 5, "file_name": "x/a.jpg"}],
            "categories": [{"id": 18, "name": "dog"}, {"id": 17, "name": "cat"}],
            "annotations": [{"image_id": 5, "category_id": 16 + k, "segmentation": one}
                            for k, one in enumerate(runs, 1)]}))


@pytest.mark.parametrize("kind", ["index", "ours", "npz", "array", "irn", "seam", "results", "coco"])
def test_every_form_gives_the_labels_that_it_means(tmp_path, item, kind):
    write(tmp_path / "labels", kind)
    source = sources.Source(tmp_path / "labels", "voc", NAMES)
    sources.need_all([item], source)
    assert (sources.label_map(item, source) == WANTED).all()
    assert sources.of_maps(source, [item]) == (kind in ("ours", "npz", "array", "irn", "seam"))


def test_maps_at_network_stride_are_enlarged_and_cut_at_the_background(tmp_path, item):
    np.save(tmp_path / "a.npy", np.array([[[0.0, 4.0]], [[0.0, 1.0]]]))  # the second class reaches a quarter
    (tmp_path / "a.png").rename(tmp_path / "picture.png")
    item = Item("a", tmp_path / "picture.png", None)
    for background, normalise, wanted in ((0.3, "joint", [0, 0, 1, 1]), (0.1, "joint", [0, 1, 1, 1])):
        made = sources.label_map(item, sources.Source(tmp_path, "voc", NAMES, background, normalise))
        assert made.tolist() == [wanted] * 2


BAD = {  # file: (name, content, what is said)
    "size": ("a.png", np.zeros((3, 4), np.uint8), "4x3, but its picture is 4x2"),
    "class": ("a.png", np.full((2, 4), 3, np.uint8), "label 3"),
    "maps": ("a.npy", np.zeros((3, 2, 4)), "maps (3, 2, 4) of the classes [0, 1, 2]"),
    "nan": ("a.npy", np.full((2, 2, 4), np.nan), "NaN or Inf"), "flat": ("a.npy", np.zeros(4), "maps (4,)"),
    "words": ("a.npy", {"cat": np.zeros((2, 4))}, "neither maps of numbers"),
    "code": ("a.npy", np.array([print], object), "refused"),
    "category": ("x.json", [{"image_id": "a", "category_id": 9, "segmentation": []}], "category_id 9"),
    "lengths": ("x.json", [{"image_id": "a", "category_id": 1, "segmentation": {"size": [2, 4], "counts": [9]}}],
                "run lengths are 9 pixels"),
    "image": ("x.json", {"images": [], "categories": [{"id": 1, "name": "cat"}],
                         "annotations": [{"image_id": 7, "category_id": 1, "segmentation": []}]}, "no image has"),
    "absent": ("x.json", {"images": [{"id": 7, "file_name": "b.jpg"}], "categories": [], "annotations": []},
               "names no image a"),
    "twice": ("x.json", {"images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b/a.png"}],
                         "categories": [], "annotations": []}, "an image occurs twice"),
    "jpeg": ("a.png", "JPEG", "a JPEG, whatever its ending"),
    "none": ("b.png", WANTED, "no labels of a"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_labels_name_file_and_remedy(tmp_path, item, case):
    name, content, said = BAD[case]
    folder = tmp_path / "labels"
    folder.mkdir()
    if name.endswith(".json"):
        (folder / name).write_text(json.dumps(content))
    elif isinstance(content, str):
        Image.fromarray(WANTED).save(folder / name, content)
    elif name.endswith(".png"):
        save_png(folder / name, content)
    else:
        np.save(folder / name, content, allow_pickle=True)
    source = sources.Source(folder, "voc", NAMES)
    with pytest.raises(FileError) as error:
        sources.need_all([item], source)
        sources.label_map(item, source)
    assert said in str(error.value) and str(folder) in str(error.value)


def test_two_files_for_one_picture_are_refused(tmp_path, item):
    write(tmp_path / "labels", "index")
    write(tmp_path / "labels", "ours")
    with pytest.raises(FileError, match=r"several files of labels \(a.png, a.npz\)"):
        sources.need_all([item], sources.Source(tmp_path / "labels", "voc", NAMES))


def test_which_folder(tmp_path):
    (tmp_path / "labels/boxes").mkdir(parents=True)
    assert sources.folder_of("06/labels/boxes", "", lambda stage: tmp_path) == tmp_path / "labels/boxes"
    assert sources.folder_of("", "x", None).name == "x" and sources.folder_of("", "", None) is None
    with pytest.raises(ValueError, match="give one of them"):
        sources.folder_of("06/labels", "x", None)
    for wrong in ("06", "06/label"):
        with pytest.raises(ValueError, match="no such folder; give 06/FOLDER, of labels, labels/boxes"):
            sources.folder_of(wrong, "", lambda stage: tmp_path)


def test_a_sample_is_drawn_by_its_seed():
    pictures = list("abcdefghij")
    draws = [sources.sampled(pictures, 4, seed) for seed in range(5)]
    assert all(len(set(draw)) == 4 and draw == sorted(draw) for draw in draws) and len(set(map(tuple, draws))) > 1
    assert sources.sampled(pictures, 4, 0) == draws[0] and sources.sampled(pictures, 10, 0) == pictures
    with pytest.raises(ValueError, match="cost 11 full masks, but there are 10 pictures"):
        sources.sampled(pictures, 11, 0)


def test_masks_at_the_price_of_weak_labels():
    """10 pictures at 20 s and 2 masks at 240 s are worth 2.83 masks."""
    paid = evaluate.annotations("image labels", "voc", list("abcdefghij"), ["background"] * 21, tuned_masks=2)
    assert paid == {"pictures": 10, "masks": 2, "tags": 200}
    assert cost.masks_for(paid, "VOC2012") == 3 and cost.masks_for({**paid, "masks": 0}, "VOC2012 subset") == 1
    with pytest.raises(FileError, match="annotation.csv: no price of masks on shapes; add a line"):
        cost.masks_for(paid, "shapes")
    p = SimpleNamespace(price_of="boxes", supervision="full", labels_stage="", labels_dir="")
    evaluate.need_full_masks(p)
    for wrong in ({"supervision": "boxes"}, {"labels_dir": "x"}, {"labels_stage": "06_labels/labels"}):
        with pytest.raises(ValueError, match="price_of 'boxes': these labels are paid in full masks"):
            evaluate.need_full_masks(SimpleNamespace(**{**vars(p), **wrong}))


def test_qualities_of_labels():
    tables = np.array([[[6, 0, 2], [1, 1, 2]]])  # of four object pixels one is found, one missed, two are open
    found = evaluate.label_scores(tables)
    assert found["mIoU"] == pytest.approx(100 * (6 / 7 + 1 / 2) / 2)
    assert found["precision"] == pytest.approx(100 * (6 / 7 + 1) / 2)
    assert found["recall"] == pytest.approx(100 * (6 / 8 + 1 / 4) / 2)
    assert found["coverage"] == pytest.approx(100 * 8 / 12)
    rows = evaluate.label_rows(tables, None, ("background", "cat"), "x")
    assert [row["name"] for row in rows] == ["label mIoU", "label precision", "label recall", "label coverage"]


def test_open_pixels_are_counted_apart(tmp_path):
    item = SimpleNamespace(id="a")
    tables = label_maps.with_unlabelled([item], lambda _: np.array([[0, 1, 1, 255]], np.uint8),
                                        lambda _: np.array([[0, 1, 255, 255]], np.uint8), 2)
    assert tables.tolist() == [[[1, 0, 0], [0, 1, 1]]] and label_maps.known_share(tables) == pytest.approx(2 / 3)


def test_steps_are_the_same_for_any_number_of_pictures():
    for pictures in (5, 8, 50, 600):
        a_pass = max(1, pictures // 8)
        epochs = segmenter.epochs_of(750, pictures, 8)
        assert epochs * a_pass >= 750 > (epochs - 1) * a_pass
        batches = sum(1 for _ in training.batches([0] * pictures, list(range(pictures)), 8))
        assert batches == a_pass


def test_pictures_that_were_learned_from_are_no_test():
    with pytest.raises(ValueError, match="val_split 'train': 1 of its 2 pictures were learned from"):
        evaluate.need_apart([SimpleNamespace(id="a"), SimpleNamespace(id="b")], ["b"], "train")
