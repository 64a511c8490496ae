"""What a reader waits for after moving a control: from its callback to the bytes of the picture that it shows, on a
500x375 picture with 20 classes (4 such pictures where a widget shows several), with one thread and no GPU. Opening is
the first call, when all is made that does not depend on the control. On a busy machine look at the processor's time.
`python -m benchmarks.widgets [PICTURE]`, else on a made-up one.
"""

import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from wsnb import files
from wsnb.data.item import Item
from wsnb.ops import cam, hierarchies
from wsnb.ops.crf import CRF
from wsnb.ops.detections import Detections
from wsnb.ops.segsort import segments
from wsnb.papers.no_people_allowed import figures
from wsnb.papers.panoptic import boxes, cleanup, instance_network, label_space
from wsnb.papers.panoptic import figures as street
from wsnb.papers.simple_does_it import box_labels
from wsnb.papers.simple_does_it import figures as by_box
from wsnb.papers.single_stage import figures as single
from wsnb.papers.single_stage import losses as mask_losses
from wsnb.papers.spml import figures as pixel
from wsnb.papers.spml import losses
from wsnb.papers.spml import steps as snapshots


def noise(rng, size, spread):  # 0..1, float32 [H, W]
    soft = cv2.GaussianBlur(rng.random(size).astype(np.float32), (0, 0), spread)
    return (soft - soft.min()) / (soft.max() - soft.min())


def made_picture(rng, size):  # blobs of colour with some grain, uint8 [H, W, 3]
    soft = np.stack([noise(rng, size, min(size) / 20) for _ in range(3)], -1)
    return (255 * np.clip(soft + rng.normal(0, 0.03, (*size, 3)), 0, 1)).astype(np.uint8)


def scene(rng, images, n_classes, settings):  # without a network: segments of random embeddings at stride 8
    maps, parts, first, size = [], [], 0, tuple(side // 8 for side in images[0].shape[:2])
    for number in range(len(images)):
        semantic = torch.from_numpy((noise(rng, size, 4) * n_classes).astype(np.int64))[None]
        embedding = torch.from_numpy(np.stack([noise(rng, size, 3) for _ in range(16)]))[None]
        found = segments.segment(embedding, semantic, semantic, settings.clusters)
        one = segments.prototypes_of(found, torch.ones(1, n_classes - 1))
        one.picture = one.picture + number
        maps.append(found.index.reshape(size).numpy() + first)
        parts.append(one)
        first += found.count
    return snapshots.Scene(images, maps, maps, maps, segments.Prototypes.joined(parts))


def widgets(image, folder, n_classes=20, seed=0):
    """{widget: (its callback, values to call it with one after another)} on a picture uint8 [H, W, 3]; FOLDER takes
    files that some of them read."""
    rng = np.random.default_rng(seed)
    height, width = size = image.shape[:2]
    maps = np.stack([noise(rng, size, min(size) / 8) for _ in range(n_classes)]) ** 3
    shares = maps / maps.sum(0)
    files.save_png(Path(folder, "one.png"), image)
    cam.write(folder, "one", np.arange(n_classes), maps[:, ::8, ::8], size)
    items, names = [Item("one", Path(folder, "one.png"), None)] * 4, label_space.CITYSCAPES
    labels, places = shares[: len(names)].argmax(0).astype(np.uint8), range(0, width * 3 // 4, width // 16)
    found = boxes.objects((names.things[k % 8], x, 9, x + width // 6, height, 0, 0) for k, x in enumerate(places))
    things = Detections.of(found.labels, found.boxes)
    windows = np.array([(y, x, y + height // 2, x + width // 2) for y in (0, height // 2) for x in (0, width // 2)])
    clean = {"labels": labels, "scores": maps[0], "tags": (windows, rng.random((4, len(names))) > 0.5),
             "mandg": labels, "found": found}
    relation, tree = losses.Settings(n_classes=n_classes), hierarchies.ucm(noise(rng, size, 3).astype(np.float64))
    many = scene(rng, [image] * 4, n_classes, relation)
    small = np.stack([cv2.resize(one, (width // 4, height // 4)) for one in maps])
    field = {kind: single.crf_control(image, shares[:k], CRF())
             for kind, k in (("3 classes", 3), ("all classes", n_classes))}
    return {
        "CAM threshold, 4 pictures": (figures.threshold_control(items, folder, "joint"),
                                      [{"percent": 20 + 9 * k} for k in range(6)]),
        "CAM threshold, street": (street.threshold(image, np.arange(len(names)), maps[: len(names)], names, 0.5),
                                  [{"threshold": 0.1 + 0.1 * k} for k in range(6)]),
        "PAMR iterations": (single.pamr_control(image, small, list(range(n_classes)), mask_losses.Settings()),
                            [{"iterations": k} for k in (40, 1, 33, 7, 21, 13)]),
        **{f"CRF parameters, {kind}": (function, [{"iterations": 15, "distance": 40 + 10 * k, "colour": 8 + k}
                                                 for k in range(6)]) for kind, function in field.items()},
        "CRF of instances": (street.field(image, shares, things, names, instance_network.Settings()),
                             [{"iterations": k + 5, "box_weight": 0.5 * k} for k in range(6)]),
        "GrabCut in a drawn box": (by_box.grabcut_control(image, box_labels.Settings()),
                                   [{"left": 4 + k, "top": 5, "right": 96 - 7 * k} for k in range(6)]),
        "clean-up switches": (street.rules(image, clean, cleanup.Options(score_thresh=0.05), names),
                              [{rule: False} for rule in ("score", "tags", "merge", "box_prior", "low_iou")]),
        "pixel -> relations": (pixel.relations_control(many, relation, (0, 0.5, 0.5)),
                               [{"picture": k % 4, "y": 0.15 * k, "x": 0.1} for k in range(6)]),
        "height of regions": (pixel.cut_control(image, tree, 0.1), [{"height": 0.05 + 0.1 * k} for k in range(6)]),
    }  # fmt: skip


def timed(call):  # seconds on the clock, seconds of the processor
    start = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - start[0], time.process_time() - start[1]


def main(path=None):
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    image = made_picture(np.random.default_rng(0), (375, 500)) if path is None else files.read_rgb(path)
    print(f"{'picture of ' + 'x'.join(map(str, image.shape[1::-1])):28} opening, s  answer, s  processor, s  < 0.3 s")
    with tempfile.TemporaryDirectory() as folder:
        for name, (function, values) in widgets(image, folder).items():
            opening, _ = timed(lambda: function(**values[-1]).jpeg())  # noqa: B023
            each = [timed(lambda one=one: function(**one).jpeg()) for one in values]  # noqa: B023
            wall, used = np.median(each, axis=0)
            print(f"{name:28} {opening:10.2f} {wall:10.3f} {used:13.3f}  {'yes' if used < 0.3 else 'NO'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
