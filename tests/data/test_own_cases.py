"""Annotation tools' files that are easily misread: they come out right, or every fault is told before a file is
written."""

import unicodedata

import numpy as np
import pytest
from PIL import Image

from tests.data import tree
from wsnb.data import doctor, read, voc
from wsnb.data.item import NO_CLASS
from wsnb.data.own import dataset, names
from wsnb.files import FileError, read_index, save_json, save_png

SIZE = (30, 40)
STEMS = ("a", "b", "c", "d")


@pytest.fixture
def folder(tmp_path):
    for name in STEMS:
        tree.picture(tmp_path / f"{name}.jpg", SIZE)
    return tmp_path


def items(made):
    return {item.id: item for split in made.splits for item in voc.items(made.root, split)}


def coco(stems=STEMS, pattern="{}.jpg", changes=None, **lists):
    """COCO's lists: a cat in each picture; CHANGES of the first annotation, None takes a key out."""
    content = {"images": [{"id": k, "file_name": pattern.format(name), "height": 30, "width": 40}
                          for k, name in enumerate(stems)],
               "categories": [{"id": 1, "name": "cat"}],
               "annotations": [{"id": 10 + k, "image_id": k, "category_id": 1, "bbox": [10, 5, 10, 10]}
                               for k in range(len(stems))]}
    first = content["annotations"][0] | (changes or {})
    content["annotations"][0] = {key: value for key, value in first.items() if value is not None}
    return content | lists


def refused(folder, *said, **options):
    """Make a set and compare what is said; nothing may be written."""
    with pytest.raises(FileError) as caught:
        dataset.make(folder, **options)
    for words in said:
        assert words in str(caught.value)
    assert not list(options.get("root", folder / "VOCdevkit").glob("*"))
    return str(caught.value)


def masks(folder, change=lambda mask: mask, pattern="{}.png", stems=STEMS, classes="background\ncat\n"):
    (folder / "masks").mkdir(exist_ok=True)
    for name in stems:
        mask = np.zeros(SIZE, np.uint8)
        mask[5:15, 10:20] = 1
        Image.fromarray(change(mask)).save(folder / "masks" / pattern.format(name), "PNG")
    (folder / "classes.txt").write_text(classes)


# no object


@pytest.mark.parametrize("written", ["background", "Background", "_background_", "__background__", " BACKGROUND "])
def test_a_background_tag_is_no_object(folder, written):
    (folder / "tags.csv").write_text(f"a,cat;{written}\nb,{written}\nc,dog\n")
    made = dataset.make(folder)
    assert made.classes == ("background", "cat", "dog")
    assert {name: item.tags for name, item in items(made).items()} == {"a": (1,), "b": (), "c": (2,)}
    assert not voc.read_mask(items(made)["b"], 3).any(), "known to be empty"


def test_a_background_tag_in_a_set_of_others(folder):
    (folder / "tags.csv").write_text("a,cat\nb,cat;dog\n")
    made = dataset.make(folder)
    save_json(made.root / "VOC2012/tags.json", {"a": ["background"], "b": ["background", "dog"]})
    assert read.tags("voc", items(made)["a"], 3).tolist() == [0, 0]
    assert read.tags("voc", items(made)["b"], 3).tolist() == [0, 1]


@pytest.mark.parametrize("written", ["none", "No Object", "__ignore__", "void", "unlabelled", "NaN"])
def test_other_names_for_no_object_are_refused(folder, written):
    (folder / "tags.csv").write_text(f"a,cat\nb,{written}\n")
    refused(folder, "tags.csv: line 2", "no object")
    (folder / "tags.csv").unlink()
    (folder / "points.csv").write_text(f"a,cat,1,1\nb,{written},2,2\n")
    refused(folder, "points.csv: line 2", "no object")
    (folder / "points.csv").unlink()
    save_json(folder / "boxes.json", coco(categories=[{"id": 1, "name": written}]))
    refused(folder, "boxes.json: the category 1", "no object")


def test_boxes_of_the_background_are_refused(folder):
    save_json(folder / "boxes.json", coco(categories=[{"id": 1, "name": "background"}]))
    refused(folder, "annotation 10 of a: a box of the background")
    used = [{"id": 0, "name": "background"}, {"id": 1, "name": "cat"}]
    save_json(folder / "boxes.json", coco(categories=used))
    assert dataset.make(folder).classes == ("background", "cat"), "a category that nothing uses does no harm"


@pytest.mark.parametrize("first", ["_background_\n", "__ignore__\n_background_\n", "\ufeffBackground\r\n", ""])
def test_the_first_line_of_the_classes_is_the_background(folder, first):
    masks(folder, classes=first + "cat\ndog\n")
    made = dataset.make(folder)
    assert made.classes == ("background", "cat", "dog") and read.tags("voc", items(made)["a"], 3).tolist() == [1, 0]


@pytest.mark.parametrize("classes, said", [("cat\nbackground\n", "not the first line"), ("cat\n__ignore__\n", "object"),
                                           ("cat\nnone\n", "object"), ("cat\ncat\n", "each once")])
def test_classes_that_would_shift_are_refused(folder, classes, said):
    masks(folder, classes=classes)
    refused(folder, said)


# masks


def test_masks_of_0_and_255(folder):
    masks(folder, lambda mask: mask * 255)
    refused(folder, "nothing but 0 and 255")
    save_json(folder / "boxes.json", coco())
    said = refused(folder, "nothing but 0 and 255")
    for f in (folder / "masks").iterdir():
        exec(said.rpartition("opened: ")[2], {"image": Image.open(f)})  # the remedy as it is printed
    made = dataset.make(folder)
    assert made.classes == ("background", "cat") and made.known["masks"] == len(STEMS)
    assert {label for item in items(made).values() for label in np.unique(voc.read_mask(item, 2))} == {0, 1}


def test_the_remedy_for_masks_of_0_and_255_serves_palettes(folder):
    masks(folder, lambda mask: mask * 255)
    for f in (folder / "masks").iterdir():
        image = Image.open(f).convert("P")
        image.putpalette([0, 0, 0, 128, 0, 0])
        image.save(f)
        exec(NO_CLASS.rpartition("opened: ")[2], {"image": Image.open(f)})
        assert set(np.unique(read_index(f))) == {0, 1}


@pytest.mark.parametrize("labels", ["tags", "boxes"])
def test_a_class_that_tags_or_boxes_say_and_no_mask_holds(folder, labels):
    masks(folder, classes="background\ndog\ncat\n")
    if labels == "boxes":
        save_json(folder / "boxes.json", coco())
    else:
        (folder / "tags.csv").write_text("a,cat\nc,dog\n")
    refused(folder, "none holds 2, cat", "the first is a")


def test_endings_in_any_case(folder):
    masks(folder, stems=STEMS[:2])
    masks(folder, stems=STEMS[2:], pattern="{}.PnG")
    (folder / "d.jpg").rename(folder / "d.JPEG")
    (folder / "Annotations").mkdir()
    for name in STEMS:
        voc.save_xml(folder / "Annotations" / f"{name}.XML", "", SIZE, [(10, 5, 20, 15)], [1], ("background", "cat"))
    made = dataset.make(folder)
    assert made.known == {"boxes": 4, "masks": 4, "objects": 4}
    masks(folder, stems=("a",), pattern="{}.PNG")
    refused(folder, "a.png: a.PNG has the same name", root=folder / "again")


@pytest.mark.parametrize("place", ["masks/b.bmp", "masks/b.tif", "masks/b.JPG", "masks/train/b.png"])
def test_label_maps_that_would_be_left_out(folder, place):
    masks(folder, stems=STEMS[:1])
    (folder / place).parent.mkdir(exist_ok=True)
    Image.fromarray(np.ones(SIZE, np.uint8)).save(folder / place)
    refused(folder, "masks: label maps are PNG files that lie in it", "would be left out, 1 in all")


def test_places_in_any_case(folder):
    masks(folder)
    (folder / "masks").rename(folder / "Masks")
    (folder / "classes.txt").rename(folder / "Classes.TXT")
    (folder / "Tags.CSV").write_text("a,cat\nb,cat\nc,cat\nd,cat\n")
    assert dataset.make(folder).known == {"tags": 4, "masks": 4}
    masks(folder, stems=("a",))
    refused(folder, "Masks: masks could be meant too", root=folder / "again")


def test_hidden_files_are_left_out(folder):
    masks(folder)
    (folder / "Annotations").mkdir()
    for name in STEMS:
        voc.save_xml(folder / f"Annotations/{name}.xml", "", SIZE, [(10, 5, 20, 15)], [1], ("background", "cat"))
    for place in (f"masks/._{STEMS[0]}.png", "._a.jpg", "Annotations/._a.xml", "masks/.DS_Store", "Thumbs.db"):
        (folder / place).write_bytes(b"\0\5\26\7")
    assert dataset.make(folder).known == {"boxes": 4, "masks": 4, "objects": 4}


# pictures


@pytest.mark.parametrize("ending, change", [
    ("png", lambda grey: grey.astype(np.uint16) * 257), ("tif", lambda grey: grey.astype(np.uint16) * 16),
    ("tif", lambda grey: grey.astype(np.float32) / 255), ("tif", lambda grey: grey.astype(np.int32) * 1000)])
def test_more_than_8_bits_are_refused(folder, ending, change):
    grey = np.arange(1200).reshape(SIZE).astype(np.uint8)
    for name in "ab":
        (folder / f"{name}.jpg").unlink()
        Image.fromarray(change(grey)).save(folder / f"{name}.{ending}")
    (folder / "tags.csv").write_text("a,cat\nb,cat\nc,cat\n")
    refused(folder, f"a.{ending}: mode", f"b.{ending}: mode", "scale it to 8 bits")
    with pytest.raises(FileError, match="scale it to 8 bits"):
        read.image(voc.Item("a", folder / f"a.{ending}", None))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_other_pictures_of_8_bits_are_converted(folder, mode):
    (folder / "a.jpg").unlink()
    Image.fromarray(np.full((*SIZE, 3), 255, np.uint8)).convert(mode).save(
        folder / f"a.{'tif' if mode == 'CMYK' else 'png'}")
    (folder / "tags.csv").write_text("a,cat\nb,cat\n")
    assert (read.image(items(dataset.make(folder))["a"]) > 250).all()


@pytest.mark.parametrize("kind", ["coco", "xml"])
@pytest.mark.parametrize("orientation", [6, 8])
def test_boxes_of_a_picture_as_it_is_stored(folder, kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", SIZE[::-1]).save(folder / "a.jpg", exif=exif)
    box = (10, 5, 20, 15)
    if kind == "coco":
        save_json(folder / "boxes.json", coco())
    else:
        (folder / "Annotations").mkdir()
        for name in STEMS:
            voc.save_xml(folder / f"Annotations/{name}.xml", "", SIZE, [box], [1], ("background", "cat"))
    said = refused(folder, "a is 40x30 there, but the picture (turned upright) is 30x40")
    assert said.count("\n") == 0, "the others are sound"
    if kind == "coco":
        content = coco()
        content["images"][0] |= {"height": 40, "width": 30}
        save_json(folder / "boxes.json", content)
        assert dataset.make(folder).known == {"boxes": 4}


@pytest.mark.parametrize("orientation, count", [(3, 1), (2, 1), (1, 0), (0, 0)])
def test_turned_pictures_are_counted_where_no_size_tells(folder, orientation, count):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", SIZE[::-1]).save(folder / "b.jpg", exif=exif)
    save_json(folder / "boxes.json", coco())
    notes = dataset.make(folder).notes
    assert len(notes) == count and all(note.startswith("1 pictures are turned upright") for note in notes)


def test_names_of_any_script(tmp_path):
    stems = ("图片一", "हिन्दी", "été", "a b", "Ελλάδα")
    for name in stems:
        tree.picture(tmp_path / f"{unicodedata.normalize('NFD', name)}.jpg", SIZE)
    (tmp_path / "tags.csv").write_text("".join(f"{name}.jpg,猫\n" for name in stems), "utf-8")
    made = dataset.make(tmp_path)
    assert set(items(made)) == {"图片一", "हिन्दी", "été", "a_b", "Ελλάδα"} and made.classes == ("background", "猫")
    assert names.plain("a/b;$(c)\n") == "a_b___c"


# COCO


@pytest.mark.parametrize("pattern", ["images\\{}.jpg", "images/{}.jpg", "C:\\x\\{}.JPG", "./{}.png"])
def test_folders_in_file_names(folder, pattern):
    save_json(folder / "boxes.json", coco(pattern=pattern))
    text = (folder / "boxes.json").read_text()
    (folder / "boxes.json").write_text(text, encoding="utf-8-sig")
    assert dataset.make(folder).known == {"boxes": 4}


@pytest.mark.parametrize("second", ["val/a.jpg", "a.jpg", "a.png", "val\\a.jpg"])
def test_two_images_of_one_name(folder, second):
    content = coco()
    content["images"].append({"id": 99, "file_name": second})
    save_json(folder / "boxes.json", content)
    refused(folder, f"the image {second} (id 99) occurs twice")


def test_faults_of_annotations_are_told_at_once(folder):
    content = coco(changes={"bbox": []})
    content["annotations"][1] |= {"category_id": 99}
    content["annotations"][2] |= {"image_id": 99}
    content["annotations"][3] |= {"bbox": [1, 2, 1e300, 4]}
    save_json(folder / "boxes.json", content)
    (folder / "d.jpg").write_bytes((folder / "d.jpg").read_bytes()[:300])
    said = refused(folder, "annotation 10 of a: its bbox is []", "annotation 11 of b: no category has the id 99",
                   "annotation 12 of image 99: no image has this id", "annotation 13 of d: its bbox", "d.jpg: not a")
    assert said.count("\n") == 4 and "Error" not in said


def test_polygons_give_their_boxes(folder):
    save_json(folder / "boxes.json", coco(changes={"bbox": None, "segmentation": [[10, 15, 15, 5, 20, 15]]}))
    made = dataset.make(folder)
    assert voc.read_boxes(items(made)["a"], made.classes)[0].tolist() == [[10, 5, 20, 15]]


@pytest.mark.parametrize("outline", [[[1e9, 0, 5, 5, 9, 0]], [[0, 0, 5, -1e8, 9, 0]],
                                     {"size": [40, 30], "counts": [1200]}, {"size": [30, 40], "counts": [-5, 1205]},
                                     {"size": [30, 40], "counts": [10.5, 1189.5]},
                                     {"size": [30, 40], "counts": "abc"}, {"size": [30], "counts": [1200]},
                                     {"size": [30, 40], "counts": [10, 20]}, {"size": [30, 40], "counts": [1, 9999]}])
def test_outlines_beyond_the_picture(folder, outline):
    save_json(folder / "boxes.json", coco(changes={"segmentation": outline}))
    refused(folder, "boxes.json: a: the outline of object 1 (cat)")


def test_ids_as_text(folder):
    save_json(folder / "boxes.json", coco(changes={"image_id": "0", "category_id": "1"}))
    assert dataset.make(folder).known == {"boxes": 4}


@pytest.mark.parametrize("written", ["", "   ", None, "ca\x00t", 5])
def test_names_of_categories_that_cannot_be_written(folder, written):
    save_json(folder / "boxes.json", coco(categories=[{"id": 1, "name": written}]))
    refused(folder, "boxes.json: the category 1")


def test_spaces_round_a_category(folder):
    save_json(folder / "boxes.json", coco(categories=[{"id": 1, "name": " cat\u2028of  mine\n"}]))
    assert dataset.make(folder).classes == ("background", "cat of mine")


def test_pictures_without_a_box_are_counted(folder):
    content = coco()
    content["annotations"] = content["annotations"][:1]
    save_json(folder / "boxes.json", content)
    note, = dataset.make(folder).notes
    assert note.startswith("3 of 4 pictures are listed without a box and count as empty, the first is b;")


@pytest.mark.parametrize("place", ["result.json", "annotations/instances_default.json", "labels_my-project.json"])
def test_a_coco_file_of_any_name(folder, place):
    save_json(folder / place, coco())
    assert dataset.make(folder).known == {"boxes": 4}
    save_json((folder / place).with_name("x.json"), coco())
    refused(folder, "say which one", root=folder / "again")


# what is not read


@pytest.mark.parametrize("part, said", [
    ("<robndbox><cx>3</cx></robndbox>", "export upright boxes"), ("<polygon><x1>1</x1></polygon>", "export upright"),
    ("<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax></bndbox>", "four numbers"),
    ("<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>inf</xmax><ymax>9</ymax></bndbox>", "four numbers"),
])
def test_xml_without_upright_boxes(folder, part, said):
    for name in "ab":
        tree.text(folder / f"Annotations/{name}.xml",
                  f"<annotation><object><name>cat</name>{part}</object></annotation>")
    refused(folder, "a.xml: object 1", "b.xml: object 1", said)


def test_xml_beside_the_pictures(folder):
    for name in STEMS:
        voc.save_xml(folder / f"{name}.xml", "", SIZE, [(10, 5, 20, 15)], [1], ("background", "cat"))
    assert dataset.make(folder).known == {"boxes": 4}


@pytest.mark.parametrize("name", ["labels.xlsx", "_annotations.csv", "project.ls"])
def test_a_file_that_is_not_read_is_named(folder, name):
    (folder / name).write_bytes(b"x")
    refused(folder, f"no tags, boxes, scribbles, points or masks were found ({name} is not read)")


def test_xml_without_names(folder):
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    tree.text(folder / "Annotations/a.xml", f"<annotation><object><name> </name>{box}</object></annotation>")
    tree.text(folder / "Annotations/b.xml", f"<annotation><object>{box}</object></annotation>")
    tree.text(folder / "Annotations/c.xml", "<?xml version='1.0' encoding='klingon'?><annotation/>")
    refused(folder, "a.xml: object 1: a class has an empty name", "b.xml: object 1: a class", "c.xml: no readable")


@pytest.mark.parametrize("place, content, said", [
    ("a.json", '{"version": "5.4.1", "shapes": [], "imagePath": "a.jpg"}', "a.json: a file of LabelMe"),
    ("labels/a.txt", "2 0.5 0.5 0.2 0.2\n0 0.5\n", "labels/a.txt: line 1: '2 0.5 0.5 0.2 0.2' is not"),
    ("a.txt", "0 0.5 0.5 0.2 0.2\n", "looks like YOLO"),
    ("project.json", "[]", "project.json: no COCO JSON"), ("annotations/x.json", "[]", "no boxes in it"),
])
def test_files_of_other_tools_are_named(folder, place, content, said):
    tree.text(folder / place, content)
    tree.text(folder / "classes.txt", "cat\ndog\n")
    refused(folder, said)


def test_boxes_of_yolo_without_names(folder):
    tree.text(folder / "labels/a.txt", "0 0.5 0.5 0.2 0.2\n")
    refused(folder, "YOLO's boxes hold numbers; name the classes in")


def test_a_field_without_end(folder):
    (folder / "tags.csv").write_text("a," + "x" * 200_000 + "\n")
    refused(folder, "tags.csv: no readable table")


def test_a_set_that_the_doctor_refuses_is_not_written(folder, monkeypatch):
    (folder / "tags.csv").write_text("a,cat\nb,cat\n")
    monkeypatch.setattr(doctor, "check", lambda root, **_: doctor.Report(str(root), problems=["x: damaged"]))
    refused(folder, "x: damaged")


# sets of others, as the doctor sees them


@pytest.fixture
def root(tmp_path):
    tree.voc(tmp_path)
    return tmp_path


def problem(root):
    report = doctor.check(root)
    assert len(report.problems) == 1, report.problems
    return report.problems[0]


def test_the_doctor_reports_masks_of_0_and_255(root):
    for path in (root / "VOC2012/SegmentationClass").glob("*.png"):
        save_png(path, np.where(tree.mask() == 15, 255, 0).astype(np.uint8))
    assert "nothing but 0 and 255" in problem(root)
    save_png(path, tree.mask())
    assert doctor.check(root).ok, "one mask with a class is enough"


def test_the_doctor_reports_classes_without_background(root):
    classes = root / "VOC2012/classes.txt"
    tree.text(classes, "\n".join(voc.CLASSES[1:] + ("more",)))
    assert "the first line is 'aeroplane'" in problem(root)
    tree.text(classes, "\n".join(("__background__", *voc.CLASSES[1:])))
    assert doctor.check(root).ok


@pytest.mark.parametrize("width, height", [(12, 16), (32, 24), (17, 12)])
def test_the_doctor_reports_boxes_of_a_picture_of_another_size(root, width, height):
    small = tree.XML.replace("<xmax>16", "<xmax>11").replace("<ymax>12", "<ymax>11")
    tree.text(root / "VOC2012/Annotations/2007_000001.xml",
              small.replace("<width>16", f"<width>{width}").replace("<height>12", f"<height>{height}"))
    assert f"2007_000001.xml: of a {width}x{height} picture, but it is 16x12" in problem(root)


@pytest.mark.parametrize("width, height", [(12, 16), (32, 24)])
def test_boxes_of_a_picture_of_another_size_are_not_read(root, width, height):
    small = tree.XML.replace("<xmax>16", "<xmax>11").replace("<ymax>12", "<ymax>11")
    tree.text(root / "VOC2012/Annotations/2007_000001.xml",
              small.replace("<width>16", f"<width>{width}").replace("<height>12", f"<height>{height}"))
    item = next(item for item in voc.items(root, "train") if item.id == "2007_000001")
    with pytest.raises(FileError, match=f"of a {width}x{height} picture, but it is 16x12"):
        voc.read_boxes(item)


def test_a_class_that_is_listed_twice(root):
    tree.text(root / "VOC2012/classes.txt", "background\ncat\ncat\n")
    with pytest.raises(FileError, match="classes.txt: cat stands there twice"):
        voc.class_names(root)


def test_names_in_another_normal_form(root):
    """é as one letter in the classes, as e and an accent in an XML and a tag."""
    place = root / "VOC2012"
    tree.text(place / "classes.txt", "background\n\u00e9l\u00e9phant\n")
    xml = tree.XML.replace("person", "e\u0301le\u0301phant").replace("cat", "e\u0301le\u0301phant")
    tree.text(place / "Annotations/2007_000001.xml", xml)
    save_json(place / "tags.json", {"2007_000001": ["e\u0301le\u0301phant"]})
    item = next(item for item in voc.items(root, "train") if item.id == "2007_000001")
    assert item.tags == (1,) and set(voc.read_boxes(item, voc.class_names(root))[1]) == {1}


@pytest.mark.parametrize("written, said", [({"a": ["none"]}, "'none': no such class"), (["a"], "not an object of"),
                                           ({"a": "cat"}, "not an object of lists"), ({"a": [1]}, "not an object")])
def test_tags_that_no_class_has(root, written, said):
    save_json(root / "VOC2012/tags.json", written)
    with pytest.raises(FileError, match=f"tags.json: {said}"):
        voc.items(root, "train")


def test_lists_with_the_separators_of_windows(root, tmp_path):
    listed = tmp_path / "list.txt"
    tree.text(listed, "\ufeff\\JPEGImages\\2007_000001.jpg \\SegmentationClass\\2007_000001.png\r\n")
    item, = voc.items(root, str(listed))
    assert item.image.is_file() and item.mask.is_file()
