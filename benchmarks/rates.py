"""What one core does beside the GPU, at the papers' sizes of pictures: figures/rates.csv, from which `wsnb plan
--estimate` computes times.

`python -m benchmarks.rates`; seconds of a processor, which other work on the machine makes little longer, the mean of
some pictures after one to warm up. Pictures are drawn, 375 x 500 as VOC's and 1024 x 2048 as Cityscapes'; losses,
labels and crops come from the functions that the stages call.
"""

import resource
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks import crf as crfs
from benchmarks import walk
from wsnb.data import read, voc
from wsnb.data.item import Item
from wsnb.data.synthetic import make_voc, streets
from wsnb.files import read_index, save_png, save_text
from wsnb.ops import crf, random_walk, segmentation
from wsnb.papers.no_people_allowed import data as npa_data
from wsnb.papers.panoptic import predict
from wsnb.papers.simple_does_it import box_labels
from wsnb.papers.simple_does_it import instances as boxes
from wsnb.papers.single_stage import steps
from wsnb.papers.spml import data as spml_data
from wsnb.run import paths

PICTURES, STREET, WALK = 2, (1024, 2048), (64, 84)


def seconds(call, count, units=1.0) -> float:
    """Processor seconds of call(k), k from 1 to COUNT, each worth UNITS; call(0) goes before."""
    call(0)
    began = time.process_time()
    for k in range(1, count + 1):
        call(k)
    print(f"{time.process_time() - began:.2f} s for {count}", flush=True)
    return (time.process_time() - began) / count / units


def loaders(items, street) -> dict:
    """Samples of each kind of training, on pictures of VOC's size but for the last."""
    label = partial(voc.read_mask, n_classes=6)
    samples = {
        "crop, single_stage": steps.Samples(items, 321, 6),
        "crop": segmentation.LabelledCrops(items, label, 321),
        "crop, SPML": spml_data.Samples(items, label, label, 6, 512),
        "crop, strong": npa_data.Squashed(items, 352, tags_of=partial(voc.read_tags, n_classes=6)),
        "crop, IRN": npa_data.Crops(items, 512, label_of=label, scales=(0.5, 1.5)),
        "street crop": segmentation.LabelledCrops(street, lambda item: read_index(item.mask), 521),
    }
    return {name: seconds(of.__getitem__, PICTURES) for name, of in samples.items()}


def of_pictures(items, street, folder) -> dict:
    """Reading a picture and writing its label map, a megapixel; scores of predictions likewise."""
    def through(k):
        image = read.image(items[k])
        save_png(folder / "label.png", voc.read_mask(items[k], 6))
        return image

    scores = np.random.default_rng(0).random(STREET).astype(np.float32)

    def written(k):
        label = read_index(street[k].mask)
        predict._write(((folder / f"{k}.png", folder / f"{k}.npz"), (label, scores), None, 4))

    sample = boxes.Samples([("JPEGImages/x.jpg", "label.png", (50, 50, 300, 300))], {"x": items[0]}, folder, 0, "vgg16",
                           "faithful")
    return {"picture": seconds(through, PICTURES, 375 * 500 / 1e6),
            "box sample": seconds(lambda k: sample[0], PICTURES),
            "predictions written": seconds(written, 2, np.prod(STREET) / 1e6)}


def of_labels(items) -> dict:
    """Fields, walks and cuts: seconds a label, step and megapixel; a step, class and megapixel at stride 4; a box."""
    image, (labels, _) = crfs.inputs(0)
    field = crf.CRF()
    unit = field.iterations * 3 * image.shape[0] * image.shape[1] / 1e6
    found = {"dense CRF": seconds(lambda k: crf.refine_labels(image, [labels], 3, field), PICTURES, unit)}
    cam, edge = walk.inputs(*WALK)
    unit = 2**8 * len(cam) * WALK[0] * WALK[1] / 1e6
    found["IRNet's walk"] = seconds(lambda k: random_walk.random_walk(cam, edge), 2, unit)
    picture = read.image(items[0])
    box = (60, 60, 330, 300)
    for nodes in box_labels.NODES:
        of = box_labels.Picture(picture, box_labels.Settings(nodes=nodes))
        found[f"GrabCut+ between {nodes}"] = seconds(lambda k, of=of: of.object_mask("grabcut_plus", box, k), 2)
    found["GrabCut"] = seconds(lambda k: of.object_mask("grabcut", box, k), 2)
    found["proposals"] = seconds(lambda k: box_labels.Picture(read.image(items[k])).candidates, 2)
    return found


def main():
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        items = voc.items(make_voc.shapes(folder / "voc", PICTURES + 1, 1, size=(375, 500)), "train")
        street = []
        for k in range(PICTURES + 1):
            scene = streets.street(k, size=STREET)
            street.append(Item(f"{k}", folder / f"s{k}.png", folder / f"m{k}.png"))
            save_png(street[-1].image, scene.image)
            save_png(street[-1].mask, scene.labels.astype(np.uint8))
        found = {**loaders(items, street), **of_pictures(items, street, folder), **of_labels(items)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    rows = pd.DataFrame({"work": [*found, "memory of a process"], "per_core": [*found.values(), peak]})
    out = paths.find() / "figures/rates.csv"
    save_text(out, rows.to_csv(index=False, float_format="%.4g"))
    print(rows.to_string(index=False))
    print(f"wrote {out}: processor seconds of one core, and bytes")


if __name__ == "__main__":
    main()
