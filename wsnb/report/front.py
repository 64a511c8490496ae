"""Pictures of the front page: one photograph with every kind of label and what each method made of it; thumbnails."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from wsnb import viz
from wsnb.data import voc, weak
from wsnb.files import FileError, open_image, read_index, write
from wsnb.run import papers
from wsnb.viz import pictures

TEXT = "One picture, its weak labels and its whole mask; below, what each method that learned from such labels made."
NAME = "front.jpg"
WIDTH, HEIGHT = 640, 220  # pixels of a thumbnail, at most
WIDE = 5  # times as wide as high: the left half of such a row is shown
GAP = 6  # white rows between two rows of a figure
AMONG = 24  # pictures of a split that the shown one is chosen of
COVERED = 0.3  # of the shown picture, by objects
FEWEST = 2  # methods that make the picture worth drawing


def thumbnail(data: bytes) -> bytes:
    """The first row, or the left half of a long one, of the figure in the bytes of a picture file, as a small JPEG."""
    with open_image(io.BytesIO(data)) as image:
        image = image.convert("RGB")
    blank = (np.asarray(image) > 250).all(axis=(1, 2))
    top = int(np.argmin(blank))
    ends = [y for y in range(top, len(blank) - GAP) if blank[y:y + GAP].all() and y - top > 60]
    image = image.crop((0, top, image.width, ends[0] if ends else image.height))
    if image.width > WIDE * image.height:
        image = image.crop((0, 0, image.width // 2, image.height))
    image.thumbnail((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88, optimize=True)
    return buffer.getvalue()


def methods(records, results) -> dict:
    """{name of a method: (data root, folder of its label maps)} of the finished runs among RECORDS, one a paper and
    supervision, on the data set in VOC's layout that most of them share; real pictures before synthetic ones."""
    found = {}
    for record in sorted(records, key=lambda record: papers.find(record.paper).order):
        stage, _, folder = papers.find(record.paper).label_maps.partition("/")
        params = record.manifest["params"]
        own = results[(results.paper == record.paper) & (results.experiment == record.experiment)]
        own = own[(own.role == "final") & ~own.supervision.isin(["", "none", "full"])]
        if record.folder is None or record.stage != stage or not len(own) or not Path(record.folder, folder).is_dir():
            continue
        name = f"{papers.find(record.paper).name}\nfrom {own.supervision.iloc[0]}"
        root = (params["data_root"], bool(own.synthetic.all()))
        found.setdefault(root, {}).setdefault(name, Path(record.folder, folder))
    root = min(found, key=lambda root: (root[1], -len(found[root])), default=None)
    return {} if root is None else {name: (root[0], folder) for name, folder in found[root].items()}


def publish(project, records, results, figures) -> None:
    """Write the front picture of runs on real pictures into FIGURES, where a fresh clone's site finds it."""
    drawn = figure(project, records, results[~results.synthetic])
    if drawn is not None:
        with write(Path(figures, NAME)) as file:
            file.write(jpeg(drawn))


def jpeg(drawn) -> bytes:
    """A figure as JPEG, which photographs want."""
    with open_image(io.BytesIO(drawn._repr_png_())) as image:
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "JPEG", quality=88, optimize=True)
    return buffer.getvalue()


def figure(project, records, results):
    """A photograph, its weak labels, its mask, and below them the label map of each method; None with too few methods.

    The picture is the one whose objects cover nearest to COVERED among the first of the split with several classes: no
    method's result counts.
    """
    found = methods(records, results)
    if len(found) < FEWEST:
        return None
    root = Path(project, next(iter(found.values()))[0])
    try:
        classes, items = voc.class_names(root), voc.items(root, "val")
        seen = [item for item in items[:AMONG]
                if all((folder / f"{item.id}.png").is_file() for _, folder in found.values())]
        if not seen:
            return None
        masks = [voc.read_mask(item, len(classes)) for item in seen]
        objects = [(mask > 0) & (mask < len(classes)) for mask in masks]
        chosen = max(range(len(seen)), key=lambda k: (
            len(np.unique(masks[k][objects[k]])) > 1, -abs(objects[k].mean() - COVERED)))
        item, mask = seen[chosen], masks[chosen]
        image = voc.read_image(item)
        instances = voc.read_instances(item) if item.instances else None
    except FileError:
        return None  # the data set has gone since
    tags = ", ".join(classes[k + 1] for k in np.flatnonzero(voc.read_tags(item, len(classes))))
    boxes, labels = weak.boxes(mask, instances)
    side = max(image.shape[:2])
    strokes = weak.scribbles(mask, 0, instances, width=max(3, side // 60))
    points = weak.points(mask, 0, instances, radius=max(2, side // 70))
    shown = {f"tags:\n{tags}": image, "\nboxes": pictures.boxes_overlay(image, boxes, labels),
             "\nscribbles": viz.overlay(image, strokes), "\npoints": viz.overlay(image, points),
             "\nwhole mask": viz.overlay(image, mask)}
    columns = max(len(shown), -(-len(found) // 2))
    blank = np.full_like(image, 255)
    while len(shown) % columns:
        shown[" " * len(shown)] = blank
    shown |= {name: viz.overlay(image, read_index(folder / f"{item.id}.png")) for name, (_, folder) in found.items()}
    return viz.grid(list(shown.values()), [name.rstrip(" ") for name in shown], columns=columns, width=2.2 * columns)
