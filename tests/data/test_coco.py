"""COCO: its outlines as masks, objects, boxes and tags; crowds; lists; what is refused."""

import numpy as np
import pytest
from PIL import Image

from wsnb.data import coco, doctor, read
from wsnb.data.synthetic import make_coco, shapes
from wsnb.files import FileError, load_json, save_json
from wsnb.run.cli import main


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_coco.write(tmp_path_factory.mktemp("coco") / "coco", {"train2017": 6, "val2017": 2}, (48, 64))


def by_hand(root, annotations, size=(6, 8)):
    """A set of one picture with two classes, whose ids have a gap, as `wsnb data convert` takes it."""
    (root / "train2014").mkdir(parents=True)
    Image.new("RGB", size[::-1]).save(root / "train2014/COCO_train2014_000000000009.jpg")
    picture = {"id": 9, "file_name": "COCO_train2014_000000000009.jpg", "height": size[0], "width": size[1]}
    save_json(root / "annotations/instances_train2014.json", {
        "images": [picture], "categories": [{"id": 90, "name": "b"}, {"id": 1, "name": "a"}],
        "annotations": [{"id": k, "image_id": 9, "iscrowd": 0, **one} for k, one in enumerate(annotations)]})
    return root


def square(x0, y0, x1, y1):
    return [[x0, y0, x1, y0, x1, y1, x0, y1]]


def test_a_picture_by_hand(tmp_path, capsys):
    """A large object, a small one in front of it, and a crowd, whose run lengths count columns."""
    root = by_hand(tmp_path, [
        {"category_id": 90, "bbox": [1.5, 1, 1, 1], "segmentation": square(1, 1, 3, 2)},
        {"category_id": 1, "bbox": [0, 0, 5.2, 5], "segmentation": square(0, 0, 5, 5)},
        {"category_id": 90, "bbox": [7, 0, 0, 9.5], "iscrowd": 1, "segmentation": {"size": [6, 8], "counts": [42, 6]}}])
    assert main(["data", "convert", "coco", str(root)]) == 0
    assert "tags/train2014.json: 1 pictures" in capsys.readouterr().out
    assert read.class_names("coco", root) == ("background", "a", "b")
    (item,) = read.items("coco", root, "train2014")
    mask, objects = read.mask("coco", item, 3), read.instances("coco", item)
    assert mask.tolist()[1] == [1, 2, 2, 1, 1, 0, 0, 255] and mask.tolist()[5] == [0] * 7 + [255]
    assert objects.tolist()[1] == [2, 1, 1, 2, 2, 0, 0, 255]
    boxes, labels, difficult = read.boxes("coco", item, read.class_names("coco", root))
    assert boxes.tolist() == [[1, 1, 3, 2], [0, 0, 6, 5], [7, 0, 8, 6]]  # whole pixels; none is empty or ends outside
    assert labels.tolist() == [2, 1, 2] and difficult.tolist() == [False, False, True]
    assert read.tags("coco", item, 3).tolist() == [1, 1]


def test_the_twin_is_read_as_drawn(made):
    for index, item in enumerate(read.items("coco", made, "train2017")):
        scene, crowd = shapes.scene(index, "train", (48, 64), make_coco.SEED, borders=False), index % 5 == 0
        mask, last = read.mask("coco", item, 6), len(scene.labels)
        hidden = scene.instances == last if crowd else np.zeros(mask.shape, bool)
        assert (mask == np.where(hidden, 255, scene.mask)).all()
        assert (read.instances("coco", item) == np.where(hidden, 255, scene.instances)).all()
        boxes, labels, difficult = read.boxes("coco", item, shapes.CLASSES)
        assert (boxes == scene.boxes).all() and (labels == scene.labels).all() and difficult.sum() == crowd
        assert set(item.tags) == set(scene.labels.tolist())


def test_lists_and_what_is_missing(made, tmp_path):
    everything = read.items("coco", made, "val2017")
    (tmp_path / "few.txt").write_text(f"{everything[1].id}\n")
    assert read.items("coco", made, f"val2017:{tmp_path / 'few.txt'}") == everything[1:2]
    assert read.items("coco", made, "val2017", 1) == everything[:1]
    (tmp_path / "few.txt").write_text("elsewhere\n")
    with pytest.raises(FileError, match="few.txt: elsewhere is no picture of val2017"):
        read.items("coco", made, f"val2017:{tmp_path / 'few.txt'}")
    with pytest.raises(FileError, match="train2014.json: missing, there are train2017, val2017; take one of them"):
        read.items("coco", made, "train2014")
    with pytest.raises(FileError, match="`wsnb data convert coco"):
        read.class_names("coco", tmp_path)
    with pytest.raises(FileError, match="no instances_.*json in it; see `wsnb data fetch coco`"):
        coco.to_png(tmp_path)


@pytest.mark.parametrize("change, said", [
    ({"category_id": 7}, r"not COCO's images, annotations and categories \(7\); fetch it again"),
    ({"image_id": 8}, "not COCO's images"),
    ({"segmentation": [[0, 0, 1, 1]]}, "COCO_train2014_000000000009: a polygon is"),
    ({"bbox": ["a", 0, 1, 1]}, "not COCO's images"),
])
def test_broken_annotations_name_their_file(tmp_path, change, said):
    one = {"category_id": 1, "bbox": [0, 0, 5, 5], "segmentation": square(0, 0, 5, 5)}
    with pytest.raises(FileError, match=f"instances_train2014.json: .*{said}|{said}"):
        coco.to_png(by_hand(tmp_path, [{**one, **change}]))
    assert not (tmp_path / "tags").exists()


def test_the_doctor_counts_pictures_without_an_annotation(made, tmp_path):
    root = by_hand(tmp_path, [])
    coco.to_png(root)
    report = doctor.check(root, ["train2014"], layout="coco")
    assert report.ok and report.official == {"train2014": 82783}, report.text()
    assert "train2014: 1 pictures without an annotation (official: 702)" in report.text()
    assert "train2014: 1 pictures (official list: 82,783)" in report.text()
    drawn = doctor.check(made, doctor.usual_splits(made, "coco"), layout="coco")
    assert drawn.pictures == {"train2017": 6, "val2017": 2} and "train2017: 0 pictures without" in drawn.text()
    assert list(load_json(made / "tags/val2017.json")) == ["000000000001", "000000000003"]
