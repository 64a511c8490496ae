"""Other members of the kinds of `test_own_cases`: what an annotation says and its picture do not agree, numbers that
are no pixels, files that only look like label maps. Each is read right or refused, in one's own folder and in VOC's."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.data import tree
from tests.data.test_own_cases import SIZE, coco, folder, items, masks, problem, refused, root  # noqa: F401 - fixtures
from wsnb.data import cityscapes, densepose, doctor, imagenet_det, sbd, voc, voc_lists
from wsnb.data.own import dataset
from wsnb.files import FileError, read_index, read_rgb, save_json, save_png
from wsnb.papers.no_people_allowed.data import tags_of

ID = "2007_000001"
OBJECT = "<object><name>cat</name><bndbox><xmin>{}</xmin><ymin>1</ymin><xmax>{}</xmax><ymax>9</ymax></bndbox></object>"


def annotation(*parts):
    return f"<annotation>{''.join(parts)}</annotation>"


# an annotation's own words


@pytest.mark.parametrize("content, said", [
    (annotation("<filename>b.jpg</filename>", OBJECT.format(1, 9)), "a.xml: of the picture b by its <filename>"),
    (annotation("<filename>x\\b.JPG</filename>", OBJECT.format(1, 9)), "a.xml: of the picture b by its <filename>"),
    (annotation("<size><width>30</width><height>40</height></size>", OBJECT.format(1, 9)), "a is 30x40 there"),
    (annotation("<size><width>40.0</width><height>31</height></size>", OBJECT.format(1, 9)), "a is 40x31 there"),
    (annotation("<objects>", OBJECT.format(1, 9), "</objects>"), "a.xml: not VOC's <annotation>"),
    ("<annotations><image name='a.jpg'><box label='cat'/></image></annotations>", "a.xml: not VOC's <annotation>"),
    (annotation(OBJECT.format(0.1, 0.9).replace(">1<", ">0<").replace(">9<", ">0.5<")), "in shares of the picture"),
    (annotation(OBJECT.format(1, 9).replace("cat", "None")), "no object"),
    (annotation(OBJECT.format(1, 9).replace("cat", "unlabeled")), "no object"),
    (annotation(OBJECT.format(1, 9), OBJECT.format(1, 9).replace("cat", "Cat")), "differ by their letters' case"),
])
def test_xml_that_says_something_else(folder, content, said):  # noqa: F811
    for name in "abcd":
        tree.text(folder / f"Annotations/{name}.xml", annotation(OBJECT.format(1, 9)))
    tree.text(folder / "Annotations/a.xml", content)
    refused(folder, said)


def test_a_renamed_picture_and_its_annotation(folder):  # noqa: F811
    for name in "abcd":
        tree.text(folder / f"Annotations/{name}.xml", annotation("<filename>IMG_1.JPG</filename>", OBJECT.format(1, 9)))
    assert dataset.make(folder).known == {"boxes": 4}


@pytest.mark.parametrize("changes, said", [
    ({"bbox": [0.1, 0.2, 0.5, 0.5]}, "in shares of the picture"), ({"bbox": [0, 0, 0.5, 1]}, "in shares"),
    ({"bbox": [20, 20, 5, 5], "iscrowd": 0, "bbox_mode": 0}, None), ({"bbox": [20, 5, -5, 5]}, "is empty"),
    ({"bbox": [35, 5, 10, 5]}, "leaves the 40x30 picture"), ({"bbox": ["1", "1", "5", "5"]}, "not [x, y, width"),
    ({"category_id": 1.5}, "no category has the id 1.5"), ({"image_id": None}, "no image has this id"),
])
def test_boxes_of_coco(folder, changes, said):  # noqa: F811
    save_json(folder / "boxes.json", coco(changes=changes))
    refused(folder, said) if said else dataset.make(folder)


@pytest.mark.parametrize("written, difficult", [("0", False), (0, False), (False, False), ("1", True), (1, True)])
def test_crowds_in_any_writing(folder, written, difficult):  # noqa: F811
    save_json(folder / "boxes.json", coco(changes={"iscrowd": written}))
    made = dataset.make(folder)
    assert voc.read_boxes(items(made)["a"], made.classes)[2].tolist() == [difficult]


@pytest.mark.parametrize("size", [{"height": 40, "width": 30}, {"height": "40", "width": "30"}, {"width": 41}])
def test_coco_states_another_size(folder, size):  # noqa: F811
    content = coco()
    content["images"][0] |= size
    save_json(folder / "boxes.json", content)
    refused(folder, "boxes.json: a is")


def test_categories_that_differ_by_case(folder):  # noqa: F811
    save_json(folder / "boxes.json", coco(changes={"category_id": 2}, categories=[{"id": 1, "name": "cat"},
                                                                                   {"id": 2, "name": "Cat"}]))
    refused(folder, "Cat and cat differ by their letters' case only")


# tables


@pytest.mark.parametrize("name, text, said", [
    ("tags.csv", "image,cat,dog\na.jpg,1,0\nb.jpg,0,1\n", "its tags are 0 and 1"),
    ("tags.csv", "a.jpg,cat|dog\nb.jpg,cat\n", "seems to be several"),
    ("tags.csv", "a.jpg,cat\nb.jpg,Cat\n", "differ by their letters' case only"),
    ("tags.csv", "a.jpg,cat\ne.jpg,cat\n", "e is no picture of the folder"),
    ("tags.csv", "a.jpg,cat\na.png,dog\n", "a occurs twice"),
    ("points.csv", "a.jpg,cat,0.5,0.25\nb.jpg,dog,0.75,1\n", "seem to be shares"),
    ("points.csv", "a.jpg,cat,5,30\nb.jpg,dog,1,1\n", "leaves the 40x30 picture"),
    ("points.csv", "a.jpg,cat,nan,3\nb.jpg,dog,1,1\n", "is not NAME,class,x,y"),
    ("scribbles.csv", "a.jpg,__ignore__,1,1,2,2\nb.jpg,dog,1,1\n", "no object"),
])
def test_tables(folder, name, text, said):  # noqa: F811
    (folder / name).write_text(text)
    refused(folder, said)


@pytest.mark.parametrize("place, text, said", [
    ("classes.txt", "background\ncat\ndog\n", "YOLO's 0 is its first line"),
    ("classes.txt", "cat\nCat\n", "stands there twice"), ("classes.txt", "cat\nnone\n", "no object"),
    ("data.yaml", "nc: 3\nnames: [cat, dog]\n", "as many as `nc` says"),
    ("data.yaml", "names: {0: cat, 2: dog}\n", "without a gap"), ("data.yaml", "names: cat\n", "without a gap"),
])
def test_names_of_yolo(folder, place, text, said):  # noqa: F811
    tree.text(folder / "labels/a.txt", "0 0.5 0.5 0.2 0.2\n")
    tree.text(folder / "labels/b.txt", "1 0.5 0.5 0.2 0.2\n")
    tree.text(folder / place, text)
    refused(folder, said)


def test_names_of_yolo_by_their_numbers(folder):  # noqa: F811
    tree.text(folder / "labels/a.txt", "0 0.5 0.5 0.2 0.2\n")
    tree.text(folder / "labels/b.txt", "1 0.5 0.5 0.2 0.2\n")
    tree.text(folder / "data.yaml", "nc: 2\nnames: {1: dog, 0: cat}\n")
    made = dataset.make(folder)
    labels = voc.read_boxes(items(made)["a"], made.classes)[1]
    assert [made.classes[k] for k in labels] == ["cat"]


# label maps and pictures


def saved(mode="L", kind="PNG", **options):
    """Bytes of a label map of 0 and 1 in a MODE and a KIND of file."""
    stream = io.BytesIO()
    labels = (np.arange(1200).reshape(SIZE) % 7 == 0).astype(np.uint8)
    Image.fromarray(labels).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("data, said", [
    (saved(kind="JPEG"), "a JPEG, whatever its ending"), (saved("1"), "mode 1"), (saved("LA"), "mode LA"),
    (saved("RGB"), "mode RGB"), (saved("RGBA"), "mode RGBA"), (saved("I;16"), "mode I"),
    (saved("L", "WEBP"), "mode RGB"),
    (saved("F", "TIFF"), "mode F"), (saved("CMYK", "TIFF"), "mode CMYK"),
    (saved(kind="TIFF", save_all=True, append_images=[Image.new("L", (40, 30))]), "it holds 2 pictures"),
    (saved(kind="PNG", save_all=True, append_images=[Image.new("L", (40, 30), 1)]), "it holds 2 pictures"),
], ids=range(11))
def test_label_maps_of_another_kind(folder, data, said):  # noqa: F811
    masks(folder)
    (folder / "masks/a.png").write_bytes(data)
    refused(folder, "a.png: ", said)
    with pytest.raises(FileError, match=said):
        read_index(folder / "masks/a.png")


def test_a_palette_with_transparency_keeps_its_indices(folder):  # noqa: F811
    image = Image.fromarray(np.eye(30, 40, dtype=np.uint8))
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.save(folder / "mask.png", transparency=0)
    assert (read_index(folder / "mask.png") == np.eye(30, 40)).all()


@pytest.mark.parametrize("kind", ["TIFF", "WEBP", "PNG"])
def test_pictures_of_several_pages(folder, kind):  # noqa: F811
    (folder / "a.jpg").unlink()
    Image.new("RGB", (40, 30)).save(folder / f"a.{kind.lower()}", kind, save_all=True,
                                    append_images=[Image.new("RGB", (40, 30), "red")])
    (folder / "tags.csv").write_text("a,cat\nb,cat\n")
    refused(folder, "it holds 2 pictures: save each")


@pytest.mark.parametrize("depth, mode", [(1, "1"), (8, "LA"), (8, "P"), (8, "CMYK")])
def test_pictures_with_profiles_and_other_modes(folder, depth, mode):  # noqa: F811
    from PIL import ImageCms

    path = folder / f"a.{'jpg' if mode == 'CMYK' else 'png'}"
    Image.new("RGB", (40, 30), (255, 255, 255)).convert(mode).save(
        path, icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    assert (read_rgb(path) > 240).all()


def test_masks_of_nothing_but_void(folder, tmp_path):  # noqa: F811
    masks(folder, lambda mask: np.full_like(mask, 255))
    refused(folder, "nothing but 0 and 255")


# roots of others


@pytest.mark.parametrize("change, said", [
    (("<filename>{id}.jpg", "<filename>2007_000002.jpg"), "of the picture 2007_000002 by its <filename>"),
    (("<annotation>", "<annotation><a>", "</annotation>", "</a></annotation>"), "not VOC's <annotation>"),
    (("<name>person", "<name>Person"), "unknown class 'Person'"), (("<name>cat", "<name>background"), "unknown class"),
    (("<width>16", "<width>0"), "of a 0x12 picture"),
])
def test_xml_of_a_voc_root(root, change, said):  # noqa: F811
    text = tree.XML
    for old, new in zip(change[::2], change[1::2], strict=True):
        text = text.replace(old, new)
    tree.text(root / f"VOC2012/Annotations/{ID}.xml", text.replace("{id}", ID))
    assert said in problem(root)


@pytest.mark.parametrize("listed, said", [
    ("background\ncat\nvoid\n", "no object"), ("background\ncat\nCat\n", "stands there twice"),
    ("background\ncat\n_background_\n", "the background is not the first line"),
    ("__ignore__\nbackground\n", "no object"),
])
def test_classes_of_voc_and_sbd(root, listed, said):  # noqa: F811
    tree.sbd(root)
    for place, names in (("VOC2012", voc.class_names), ("benchmark_RELEASE/dataset", sbd.class_names)):
        tree.text(root / place / "classes.txt", listed)
        with pytest.raises(FileError, match=said):
            names(root)


def test_objects_on_background(root):  # noqa: F811
    numbers = np.zeros(tree.SIZE, np.uint8)
    numbers[3:8, 4:10], numbers[10:, 12:] = 1, 2
    save_png(root / f"VOC2012/SegmentationObject/{ID}.png", numbers)
    assert "1 objects lie on background or void of" in problem(root)


def test_a_voc_root_with_endings_and_letters_of_other_systems(root):  # noqa: F811
    """Upper-case endings, .jpeg, e and an accent, ._ files, and lists with a mark, CRLF and spaces."""
    place, accent = root / "VOC2012", "cafe\u0301"
    for number, (old, ending) in enumerate(((ID, ".JPG"), ("2007_000002", ".jpeg"))):
        for folder_, had, has in (("JPEGImages", ".jpg", ending), ("SegmentationClass", ".png", ".PNG"),
                                  ("SegmentationObject", ".png", ".PNG"), ("Annotations", ".xml", ".XML")):
            path = place / folder_ / f"{old}{had}"
            path.rename(path.with_name(f"{accent}{number}{has}"))
            (place / folder_ / f"._{accent}{number}{has}").write_bytes(b"\0\5\26\7")
    (place / "ImageSets/Segmentation/train.txt").write_bytes("\ufeffcaf\u00e90 \r\ncaf\u00e91\t\r\n".encode())
    found = voc.items(root, "train")
    assert [item.image.suffix for item in found] == [".JPG", ".jpeg"] and doctor.check(root).ok
    assert all(item.mask.exists() and item.instances and item.boxes for item in found)


@pytest.mark.parametrize("reader", ["voc", "densepose"])
def test_a_list_that_pairs_two_pictures(root, reader, tmp_path):  # noqa: F811
    listed = tmp_path / "list.txt"
    tree.text(listed, f"JPEGImages\\{ID}.jpg SegmentationClass\\2007_000002.png\n")
    with pytest.raises(FileError, match="the mask of another picture"):
        {"voc": voc, "densepose": densepose}[reader].items(root, str(listed))


def test_cityscapes_with_other_endings(tmp_path):
    for name, ending in (("aachen_000000_000019", ".png"), ("aachen_000001_000019", ".PNG")):
        for folder_, what, value in (("leftImg8bit", "leftImg8bit", 0), ("gtFine", "gtFine_labelIds", 7)):
            path = tmp_path / folder_ / "val/aachen" / f"{name}_{what}{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((4, 8), value, np.uint8)).save(path, "PNG")
    found = cityscapes.items(tmp_path, "val")
    assert len(found) == 2 and all((cityscapes.read_mask(item) == 0).all() for item in found)


@pytest.mark.parametrize("changes, said", [
    ({"id": 7, "file_name": "b.jpg"}, "2 pictures, but 1 different ids"),
    ({"id": 8, "file_name": "a.jpg"}, "2 pictures, but 1 different ids")])
def test_densepose_of_two_pictures_of_one_name(tmp_path, changes, said):
    images = [{"id": 7, "file_name": "a.jpg", "height": 12, "width": 16}]
    images.append(images[0] | changes)
    save_json(tmp_path / "a.json", {"images": images, "annotations": [], "categories": []})
    with pytest.raises(FileError, match=said):
        densepose.people(tmp_path / "a.json")


def test_densepose_of_a_box_without_end(tmp_path):
    person = {"id": 1, "bbox": [0, 0, 1e8, 1e8], "dp_masks": [[]] * 14}
    with pytest.raises(FileError, match="in a picture of 16x12"):
        densepose.parts("a.json", {"file_name": "a.jpg", "height": 12, "width": 16}, [person])


def test_categories_of_sbd_beyond_a_byte(tmp_path):
    tree.sbd(tmp_path)
    path = sbd.dataset(tmp_path) / f"inst/{ID}.mat"
    tree.mat(path, "GTinst", Segmentation=np.ones(tree.SIZE, np.uint8), Categories=np.array([[257]], np.uint16))
    with pytest.raises(FileError, match="Categories is uint16"):
        sbd.instances_of(path)
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(384) + b"\x89HDF\r\n\x1a\n")
    with pytest.raises(FileError, match="not of MATLAB 5 to 7.2"):
        sbd.instances_of(path)


@pytest.mark.parametrize("vector", [[0.5, 1], [-1, 0], [2, 0], [np.nan, 1], np.array([1, None]), ["1", "0"], [1]])
def test_tables_of_tags(tmp_path, vector):
    np.save(tmp_path / "tags.npy", {"a": np.asarray(vector)}, allow_pickle=True)
    with pytest.raises(FileError, match="tags.npy: "):
        tags_of("voc", 3, str(tmp_path / "tags.npy"))(voc.Item("a", tmp_path, None))


def test_names_of_lid_with_the_separators_of_windows(tmp_path):
    save_json(tmp_path / "list.json", [["a\\b", [1]]])
    assert imagenet_det.read_entries(tmp_path / "list.json", 3) == [("a/b", (1,))]
    assert voc_lists.read_list(tmp_path / "list.json")
