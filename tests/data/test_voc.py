"""The reader of PASCAL VOC 2012 and SBD, on a tiny tree of their layout."""

import numpy as np
import pytest
from PIL import Image

from tests.data import tree
from wsnb.data import sbd, voc
from wsnb.files import FileError


@pytest.fixture
def devkit(tmp_path):
    tree.voc(tmp_path / "VOCdevkit")
    return tmp_path / "VOCdevkit"


def only(root, split="train"):
    return voc.items(root, split, limit=1)[0]


def test_classes_and_palette():
    assert len(voc.CLASSES) == 21 and voc.CLASSES[15] == "person" and voc.CLASSES[20] == "tvmonitor"
    assert voc.PALETTE[[0, 1, 2, 15, 20, 255]].tolist() == [
        [0, 0, 0], [128, 0, 0], [0, 128, 0], [192, 128, 128], [0, 64, 128], [224, 224, 192]]


def test_items_and_limit(devkit):
    found = voc.items(devkit, "train")
    assert [item.id for item in found] == ["2007_000001", "2007_000002"]
    assert voc.items(devkit, "train", limit=1) == found[:1]
    assert voc.items(devkit.parent, "train") == found  # the folder that holds VOCdevkit does as well
    assert found[0].mask == devkit / "VOC2012/SegmentationClass/2007_000001.png"


def test_reads_what_lies_there(devkit):
    item = only(devkit)
    assert voc.read_image(item).shape == (12, 16, 3)
    assert np.array_equal(voc.read_mask(item), tree.mask())
    assert set(np.unique(voc.read_instances(item))) == {0, 1, 255}


def test_boxes_count_from_zero_and_are_half_open(devkit):
    boxes, labels, difficult = voc.read_boxes(only(devkit))
    assert boxes.tolist() == [[0, 1, 16, 12], [2, 3, 8, 9]]  # decimals rounded, parts left out, any order of fields
    assert labels.tolist() == [15, 8] and difficult.tolist() == [False, True]


def test_boxes_survive_writing(tmp_path):
    boxes, labels = np.array([[0, 0, 16, 12], [3, 4, 5, 6]]), np.array([1, 20])
    voc.save_xml(tmp_path / "a.xml", "a.jpg", (12, 16), boxes, labels, voc.CLASSES)
    again = voc.read_xml(tmp_path / "a.xml", voc.CLASSES)
    assert np.array_equal(again[0], boxes) and np.array_equal(again[1], labels)


@pytest.mark.parametrize("old, new, word", [
    ("</annotation>", "", "broken XML"), ("person", "martian", "unknown class"), ("<xmin>1<", "<xmin>0<", "leaves"),
    ("<xmax>16<", "<xmax>17<", "leaves"), ("<ymin>4<", "<ymin>10<", "empty"), ("<ymin>2<", "<ymin>two<", "number"),
    ("<size>", "<none>", "broken XML"), ("<ymax>12<", "<ymax>nan<", "number")])
def test_bad_xml_names_file_and_mend(devkit, old, new, word):
    path = devkit / "VOC2012/Annotations/2007_000001.xml"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(FileError, match=word) as caught:
        voc.read_boxes(only(devkit))
    assert str(path) in str(caught.value) and ";" in str(caught.value)


def test_trainaug_takes_sbd_where_it_has_the_picture(devkit):
    tree.sbd(devkit)
    found = {item.id: item for item in voc.items(devkit, "trainaug")}
    assert sorted(found) == ["2007_000001", "2007_000002", "2008_000003", "2008_000004"]  # val's 2007_000009 is out
    assert found["2007_000001"].mask.suffix == ".mat" and found["2007_000002"].mask.suffix == ".png"
    assert found["2008_000003"].image.parent.name == "img"
    assert set(np.unique(voc.read_mask(found["2007_000001"]))) == {0, 7}  # SBD has no void
    assert set(np.unique(voc.read_instances(found["2007_000001"]))) == {0, 1, 2}
    assert found["2007_000001"].boxes is not None


def test_sbd_beside_voc(tmp_path):
    tree.voc(tmp_path / "voc/VOCdevkit")
    tree.sbd(tmp_path / "sbd")
    for root in (tmp_path, tmp_path / "voc/VOCdevkit"):
        assert len(voc.items(root, "trainaug")) == 4


def test_trainaug_without_sbd_says_so(devkit):
    with pytest.raises(FileError, match="benchmark_RELEASE"):
        voc.items(devkit, "trainaug")


def test_lists_of_the_original_program(tmp_path):
    """Lines `IMAGE MASK` below data/, with cls_png made or not."""
    tree.voc(tmp_path / "voc/VOCdevkit")
    tree.sbd(tmp_path / "sbd")
    lines = ["voc/VOCdevkit/VOC2012/JPEGImages/2007_000002.jpg voc/VOCdevkit/VOC2012/SegmentationClass/2007_000002.png",
             "sbd/benchmark_RELEASE/dataset/img/2008_000003.jpg sbd/benchmark_RELEASE/dataset/cls_png/2008_000003.png"]
    tree.text(tmp_path / "train_augvoc.txt", "\n".join(lines) + "\n")
    for root in (tmp_path, tmp_path / "voc/VOCdevkit"):
        first, second = voc.items(root, str(tmp_path / "train_augvoc.txt"))
        assert second.mask.name == "2008_000003.mat" and second.instances.name == "2008_000003.mat"
        assert np.array_equal(voc.read_mask(first), tree.mask())
        assert voc.read_mask(second).max() == 7
    before = voc.read_mask(second)
    dataset = tmp_path / "sbd/benchmark_RELEASE/dataset"
    assert sbd.to_png(dataset) == 4 and sbd.to_png(dataset) == 0
    second = voc.items(tmp_path, str(tmp_path / "train_augvoc.txt"))[1]
    assert second.mask.suffix == ".png" and np.array_equal(voc.read_mask(second), before)


def test_test_pictures_in_their_own_devkit(tmp_path):
    tree.voc(tmp_path / "voc/VOCdevkit")
    other = tmp_path / "voc_test/VOCdevkit/VOC2012"
    tree.picture(other / "JPEGImages/2008_000006.jpg")
    tree.text(other / "ImageSets/Segmentation/test.txt", "2008_000006\n")
    tree.text(tmp_path / "test.txt", "voc_test/VOCdevkit/VOC2012/JPEGImages/2008_000006.jpg\n")
    for split in ("test", str(tmp_path / "test.txt")):
        item = only(tmp_path / "voc/VOCdevkit", split)
        assert voc.read_image(item).shape == (12, 16, 3) and item.mask is None
        with pytest.raises(FileError, match="no mask"):
            voc.read_mask(item)


def test_test_pictures_among_the_others(devkit):
    tree.picture(devkit / "VOC2012/JPEGImages/2008_000006.jpg")
    tree.text(devkit / "VOC2012/ImageSets/Segmentation/test.txt", "2008_000006\n")
    assert only(devkit, "test").image.exists() and only(devkit, "test").mask is None


@pytest.mark.parametrize("line, word", [
    ("../../etc/x.jpg ../y.png", "leaves"), ("JPEGImages/a.jpg b/a.png c/a.png d.png", "columns"),
    ("2007_000001 1", "neither"), ("sbd/benchmark_RELEASE/dataset/img/a.jpg", "needs SBD"), ("..", "neither")])
def test_bad_list_lines(devkit, line, word):
    tree.text(devkit.parent / "list.txt", line + "\n")
    with pytest.raises(FileError, match=word):
        voc.items(devkit, str(devkit.parent / "list.txt"))


def test_bad_lists(devkit):
    with pytest.raises(FileError, match="there are train, val"):
        voc.items(devkit, "trian")
    tree.text(devkit / "VOC2012/ImageSets/Segmentation/train.txt", "2007_000001\n2007_000001\n")
    with pytest.raises(FileError, match="twice"):
        voc.items(devkit, "train")
    tree.text(devkit / "VOC2012/ImageSets/Segmentation/train.txt", "\n")
    with pytest.raises(FileError, match="empty list"):
        voc.items(devkit, "train")
    with pytest.raises(FileError, match="VOCdevkit"):
        voc.items(devkit / "nothing", "train")


def test_palette_and_grey_masks_read_alike(devkit):
    item = only(devkit)
    Image.fromarray(tree.mask()).save(item.mask)  # grey, the palette gone
    assert np.array_equal(voc.read_mask(item), tree.mask())


@pytest.mark.parametrize("convert, word", [
    (lambda m: voc.PALETTE[m], "RGB"), (lambda m: m.astype(np.uint16), "16"), (lambda m: m[:-1], "16x11"),
    (lambda m: np.where(m == 15, 21, m).astype(np.uint8), "label 21"),
    (lambda m: np.where(m == 255, 254, m).astype(np.uint8), "label 254")])
def test_bad_masks_are_refused_by_name(devkit, convert, word):
    item = only(devkit)
    Image.fromarray(convert(tree.mask())).save(item.mask)
    with pytest.raises(FileError, match=word) as caught:
        voc.read_mask(item)
    assert str(item.mask) in str(caught.value)


def test_label_at_the_number_of_classes(devkit):
    with pytest.raises(FileError, match="there are 6 classes"):
        voc.read_mask(only(devkit), n_classes=6)


@pytest.mark.parametrize("keep", [0, 90])
def test_truncated_files_are_refused_by_name(devkit, keep):
    tree.sbd(devkit)
    item = {item.id: item for item in voc.items(devkit, "trainaug")}["2007_000001"]
    png = only(devkit)
    for path, read in ((item.image, lambda: voc.read_image(item)), (item.mask, lambda: voc.read_mask(item)),
                       (item.instances, lambda: voc.read_instances(item)), (png.mask, lambda: voc.read_mask(png))):
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(FileError, match=path.name):
            read()


def test_sbd_instances_have_a_category_each(tmp_path):
    path = tmp_path / "a.mat"
    tree.mat(path, "GTinst", Segmentation=np.uint8([[0, 3]]), Categories=np.uint8([[5], [6]]))
    with pytest.raises(FileError, match="instance 3 of 2"):
        sbd.instances_of(path)
    tree.mat(path, "GTinst", Segmentation=np.uint8([[0, 2]]), Categories=np.uint8([[5], [6]]))
    instances, categories = sbd.instances_of(path)
    assert instances.tolist() == [[0, 2]] and categories.tolist() == [5, 6]
    with pytest.raises(FileError, match="GTcls"):
        sbd.classes_of(path)


def test_class_names_of_another_set(devkit):
    assert voc.class_names(devkit) == voc.CLASSES
    tree.text(devkit / "VOC2012/classes.txt", "background\ndisc\n")
    assert voc.class_names(devkit) == ("background", "disc")


def test_sbd_by_itself(tmp_path):
    tree.sbd(tmp_path)
    for root in (tmp_path, tmp_path / "benchmark_RELEASE", tmp_path / "benchmark_RELEASE/dataset"):
        item, = sbd.items(root, "train", limit=1)
        assert voc.read_mask(item).max() == 7 and voc.read_instances(item).max() == 2
    tree.text(tmp_path / "benchmark_RELEASE/dataset/train.txt", "a\nb\na\n")
    with pytest.raises(FileError, match="a occurs twice"):
        sbd.items(tmp_path, "train")
    with pytest.raises(FileError, match="no SBD"):
        sbd.items(tmp_path / "nothing", "train")
