"""Small sound files of every kind that the book reads, each with its reader, for `benchmarks.fuzz`."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io
import torch
from PIL import Image

from wsnb import files, legacy_pickle
from wsnb.data import densepose, imagenet_det, item, sbd, voc, voc_lists
from wsnb.data.own import dataset
from wsnb.ops import cam, detections, proposals
from wsnb.papers.no_people_allowed.data import tags_of
from wsnb.papers.panoptic import boxes, predict
from wsnb.run import manifest, notebooks, params

SIZE = (12, 16)
NAMES = ("background", "cat", "dog")


@dataclass(frozen=True)
class Reader:
    """A file's bytes and read(path) -> its content; checked: the format has a checksum of its content, which has to be
    compared."""

    data: bytes
    suffix: str
    read: Callable
    checked: bool = False


class Bomb:
    """Makes the folder FUZZED in the working folder when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("fuzzed",)


def readers(folder: Path) -> dict[str, Reader]:
    """Write the files into FOLDER; {name: Reader}. Their pictures and other companions stay there."""
    rng = np.random.default_rng(0)
    noise, mask = rng.integers(0, 256, (*SIZE, 3), np.uint8), rng.integers(0, 3, SIZE, np.uint8)
    picture = folder / "picture.png"
    files.save_png(picture, noise)
    found = {}

    def add(name, suffix, make, read, checked=False):
        path = folder / f"{name.replace(' ', '_')}{suffix}"
        made = make(path)
        if isinstance(made, str | bytes):
            path.write_bytes(made.encode() if isinstance(made, str) else made)
        found[name] = Reader(path.read_bytes(), suffix, read, checked)

    def image(mode="RGB", kind="PNG"):
        return lambda path: Image.fromarray(noise if mode == "RGB" else mask).convert(mode).save(path, kind)

    def of(what):
        return lambda path: item.Item("a", picture, **{"mask": None, what: path})

    add("palette mask", ".png", lambda p: files.save_png(p, mask), lambda p: voc.read_mask(of("mask")(p), 3), True)
    add("grey mask", ".png", image("L"), files.read_index, True)
    add("object numbers", ".png", lambda p: Image.fromarray(mask.astype(np.uint16) * 300).save(p), item.read_numbers,
        True)
    add("RGB PNG", ".png", image(), files.read_rgb, True)
    for kind, suffix in (("JPEG", ".jpg"), ("BMP", ".bmp"), ("TIFF", ".tif"), ("WEBP", ".webp"), ("PPM", ".ppm")):
        add(kind, suffix, image(kind=kind), files.read_rgb)
    add("VOC XML", ".xml", lambda p: voc.save_xml(p, "a.jpg", SIZE, [(0, 0, 5, 6), (2, 3, 9, 9)], [1, 2], NAMES),
        lambda p: voc.read_xml(p, NAMES))
    add("list", ".txt", lambda p: "a\nb\n2007_000032\n", voc_lists.read_list)
    add("classes", ".txt", lambda p: "\n".join(NAMES), lambda p: tuple(voc_lists.read_list(p)))
    struct = np.zeros((1, 1), [("Segmentation", object), ("Categories", object)])
    struct[0, 0] = (mask, np.array([[1], [2]], np.uint8))
    add("SBD classes", ".mat", lambda p: boxes.save_mat(p, {"GTcls": struct}), sbd.classes_of, True)
    add("SBD objects", ".mat", lambda p: boxes.save_mat(p, {"GTinst": struct}), sbd.instances_of, True)
    some = boxes.objects([(1, 0, 0, 5, 6, 0, 0), (2, 1, 1, 9, 9, 1, 0)])
    add("boxes", ".mat", lambda p: boxes.save_boxes(p, some, NAMES), lambda p: boxes.load_boxes(p, NAMES).boxes, True)
    add("scores", ".mat", lambda p: predict.save_scores(p, mask / 3), predict.load_scores, True)
    cells = np.empty((2, 1), object)
    cells[:, 0] = [np.array([[1]]), np.array([[2, 3]])]
    mcg = {"superpixels": mask.astype(np.int16) + 1, "labels": cells}
    add("MCG proposals", ".mat", lambda p: scipy.io.savemat(p, mcg), lambda p: proposals.read_mcg(p).members)
    rows = [[1, 0, 0, 5, 6, 0.5], [2, 1, 1, 9, 9, 0.25]]
    add("detections MAT", ".mat", lambda p: scipy.io.savemat(p, {"d": np.array(rows)}),
        lambda p: detections.read(p, NAMES))
    add("detections text", ".txt", lambda p: "cat 0 0 5 6 0.5\n2 1 1 9 9 0.25\n", lambda p: detections.read(p, NAMES))
    add("detections JSON", ".json",
        lambda p: json.dumps([{"class": "cat", "box": row[1:5], "score": row[5]} for row in rows]),
        lambda p: detections.read(p, NAMES))
    add("arrays", ".npz", lambda p: files.save_npz(p, mask=mask, scores=mask / 3), files.load_npz, True)
    add("class maps", ".npz", lambda p: cam.write(p.parent, p.stem, [1], mask[None] / 3, SIZE),
        lambda p: cam.read(p.parent, p.stem), True)
    table = {"a": np.array([1.0, 0.0]), "b": np.array([0.0, 1.0])}
    tags = tags_of("voc", 3)  # reads the mask where there is no table
    add("tags", ".npy", lambda p: np.save(p, table, allow_pickle=True),
        lambda p: tags_of("voc", 3, str(p))(of("mask")(folder / "palette_mask.png")))
    assert tags(of("mask")(folder / "palette_mask.png")).shape == (2,)
    add("old arrays", ".npy", lambda p: p.write_bytes(pickle.dumps({1: mask}, protocol=2)) and None,
        legacy_pickle.load_legacy_array)
    add("parameters", ".yaml", lambda p: "# toy\nstages: [01_a]\nlr: 0.5\nnames: [a, b]\nflip: true\nsplit: \"x\"\n",
        params.load_yaml)
    add("notebook", ".ipynb", lambda p: json.dumps({"cells": [
        {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": ["a: int = 1  # >= 1; x\n", "b: str = ''"]
         },
        {"cell_type": "code", "metadata": {}, "source": "stage.finish()"}], "metadata": {}, "nbformat": 4}),
        lambda p: params.declared(notebooks.read(p)))
    record = {"key": "k", "parts": {}, "results": [], "notes": {"undefined": ["cat"]}}

    def manifest_of(path):
        place = _as(path, manifest.RESULTS)
        files.save_json(place / manifest.RESULTS, record)
        manifest.write(place, record)
        return (place / manifest.NAME).read_bytes()

    def read_manifest(path):
        place = _as(path, manifest.NAME)
        files.save_json(place / manifest.RESULTS, record)
        return manifest.problems(place, manifest.read(place), full=True)

    add("manifest", ".json", manifest_of, read_manifest)
    add("LID list", ".json", lambda p: json.dumps([["a/b", [1, 2]], ["a/c", []]]),
        lambda p: imagenet_det.read_entries(p, 3))
    person = {"id": 1, "image_id": 7, "bbox": [1, 1, 8, 8], "segmentation": [[1, 1, 8, 1, 8, 8]], "dp_masks": [
        {"size": [256, 256], "counts": [65536 - k, k]} for k in range(14)]}
    people = {"images": [{"id": 7, "file_name": "a.jpg", "height": 12, "width": 16}], "annotations": [
        person, {"id": 2, "image_id": 7, "bbox": [0, 0, 3, 3], "segmentation": [[0, 0, 3, 0, 3, 3]]}], "categories": []}
    add("DensePose JSON", ".json", lambda p: json.dumps(people),
        lambda p: [densepose.parts(p, *one) for one in densepose.people(p)])
    coco = {"images": [{"id": k, "file_name": f"{k}.png", "height": 12, "width": 16} for k in (1, 2)],
            "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}], "annotations": [
                {"id": k, "image_id": k, "category_id": k, "bbox": [1, 1, 8, 8], "iscrowd": 0,
                 "segmentation": [[1, 1, 8, 1, 8, 8, 3, 9]]} for k in (1, 2)]}
    labelme = {"shapes": [{"label": "cat", "points": [[1, 1], [5, 5]]}], "imagePath": "1.png"}
    for name, place, text in (
        ("COCO JSON", "boxes.json", json.dumps(coco)), ("LabelMe JSON", "1.json", json.dumps(labelme)),
        ("tag table", "tags.csv", "image,tags\n1.png,cat;dog\n2.png,dog\n"),
        ("strokes", "scribbles.csv", "1.png,cat,1,1,8,8\n2.png,dog,3,3,9,9\n1.png,background,0,0\n2.png,dog,3,2\n")):
        add(name, Path(place).suffix, lambda p, text=text: text, lambda p, place=place: _own(p, place, noise))
    add("checkpoint", ".pth", lambda p: files.save_torch(p, {"w": torch.arange(20.0), "n": [1, "x"]}), files.load_torch,
        True)
    add("old checkpoint", ".pth", lambda p: torch.save({"w": torch.arange(20.0)}, p,
                                                       _use_new_zipfile_serialization=False), files.load_torch)
    return found


def _as(path, name):
    """A folder where PATH's content has another NAME."""
    folder = path.with_suffix(".folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / name).write_bytes(path.read_bytes() if path.exists() else b"")
    return folder


def _own(path, place, noise):
    """Make a set of two pictures and the file PATH, called PLACE there; its label maps."""
    folder = _as(path, place)
    for name in ("1.png", "2.png"):
        Image.fromarray(noise).save(folder / name)
    try:
        made = dataset.make(folder, folder / "set")
    except files.FileError as error:
        raise files.FileError(str(error).replace(str(folder / place), str(path))) from error
    masks = [voc.read_mask(one, len(made.classes)) for split in ("train", "val")
             for one in voc.items(made.root, split)]
    return made.classes, masks
