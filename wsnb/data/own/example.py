"""Twenty pictures with labels as a user may bring them: what the chapter on one's own pictures starts from."""

import csv
from pathlib import Path

import numpy as np

from wsnb.data import weak
from wsnb.data.synthetic import shapes
from wsnb.data.synthetic.writing import jpeg, text
from wsnb.files import save_json, save_png, write


def example(folder, count: int = 20, masks: int = 5, size=(96, 128)) -> Path:
    """Write COUNT synthetic pictures into FOLDER with tags.csv, boxes.json, scribbles/*.png, points.csv, classes.txt,
    and full masks/*.png of the last MASKS of them; returns FOLDER."""
    folder = Path(folder)
    names = [f"picture {k + 1:02d}" for k in range(count)]
    scenes = [shapes.scene(k, "test", size) for k in range(count)]
    for k, (name, scene) in enumerate(zip(names, scenes, strict=True)):
        jpeg(folder / f"{name}.jpg", scene.image)
        save_png(folder / "scribbles" / f"{name}.png", weak.scribbles(scene.mask, k, scene.instances))
        if k >= count - masks:
            save_png(folder / "masks" / f"{name}.png", scene.mask)
    text(folder / "classes.txt", shapes.CLASSES)
    _table(folder / "tags.csv", ("image", "tags"),
           [(f"{name}.jpg", ";".join(shapes.CLASSES[k] for k in np.unique(scene.labels)))
            for name, scene in zip(names, scenes, strict=True)])
    _table(folder / "points.csv", ("image", "class", "x", "y"),
           [(f"{name}.jpg", shapes.CLASSES[label], x, y) for k, name in enumerate(names)
            for label, x, y in _points(scenes[k], k)])
    save_json(folder / "boxes.json", _coco(names, scenes))
    return folder


def _points(scene, seed: int) -> list[tuple[int, int, int]]:
    drawn = weak.points(scene.mask, seed, scene.instances)
    return [(int(drawn[y, x]), int(x), int(y)) for y, x in np.argwhere(drawn != weak.VOID)]


def _coco(names, scenes) -> dict:
    boxes = [{"image_id": k, "category_id": int(label), "bbox": [int(x0), int(y0), int(x1 - x0), int(y1 - y0)]}
             for k, scene in enumerate(scenes)
             for (x0, y0, x1, y1), label in zip(scene.boxes, scene.labels, strict=True)]
    return {"images": [{"id": k, "file_name": f"{name}.jpg"} for k, name in enumerate(names)],
            "annotations": [{"id": k, **box} for k, box in enumerate(boxes)],
            "categories": [{"id": k, "name": name} for k, name in enumerate(shapes.CLASSES) if k]}


def _table(path: Path, head, rows) -> None:
    with write(path, "w") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows])
