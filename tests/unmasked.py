"""A data set in VOC's layout whose split `test` has neither masks nor tags, as VOC's has."""

import shutil

from wsnb.data.synthetic import make_voc


def voc(folder):
    """Write four training pictures, one of val and five of `test` into FOLDER/VOCdevkit; returns it."""
    root = make_voc.shapes(folder / "VOCdevkit", train=4, val=1, size=(64, 80))
    place, names = root / "VOC2012", [f"test_{k:06d}" for k in range(5)]
    for name in names:
        shutil.copy(place / "JPEGImages/val_000000.jpg", place / f"JPEGImages/{name}.jpg")
    (place / "ImageSets/Segmentation/test.txt").write_text("\n".join(names) + "\n")
    return root
