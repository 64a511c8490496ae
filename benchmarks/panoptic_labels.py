"""Label generation and clean-up of street scenes of 1024 x 2048: seconds and memory a picture, by stage; linear in
pictures, parallel over processes, killed and continued.

`python -m benchmarks.panoptic_labels [pictures] [workers]`. The scenes are drawn at Cityscapes' size
(`wsnb.data.synthetic.streets`); predictions are their labels with shifted patches.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from benchmarks.rows import Row
from wsnb.data import cityscapes
from wsnb.data.item import Item
from wsnb.data.synthetic import streets
from wsnb.files import read_rgb, save_png
from wsnb.ops import label_maps, parallel
from wsnb.papers.panoptic import boxes, cleanup, data, iterate, masks
from wsnb.papers.panoptic.boxes import save_boxes
from wsnb.papers.panoptic.label_space import CITYSCAPES, IGNORE
from wsnb.papers.panoptic.predict import save_scores

SIZE = (1024, 2048)


def scene(index, size=SIZE):
    """(picture, class labels, instance train ids) of a drawn street."""
    street = streets.street(index, size=size)
    ids = cityscapes.instance_train_ids("drawn", street.instances)
    return street.image, cityscapes.train_ids("drawn", street.labels), ids


def prepare(folder, count):
    """Inputs of COUNT pictures in folders, as the stages leave them; the first eight are drawn, the others are links to
    them. Returns the pictures' ids."""
    rng = np.random.default_rng(0)
    kinds = {"predictions": ".png", "scores": ".mat", "mandg": ".png", "boxes": ".mat", "tags": ".npz",
             "images": ".png"}
    for kind in kinds:
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for k in range(count):
        if k >= 8:
            for kind, suffix in kinds.items():
                os.link(folder / kind / f"p{k % 8:05d}{suffix}", folder / kind / f"p{k:05d}{suffix}")
            continue
        image, labels, ids = scene(k)
        found = boxes.clipped(boxes.from_instance_ids(ids, CITYSCAPES), ids.shape)
        places = data.windows(labels.shape, (400, 500))
        noise = cv2.resize(rng.random((64, 128)).astype(np.float32), SIZE[::-1])
        prediction = np.where(noise > 0.75, np.roll(labels, 40, axis=1), labels)
        save_png(folder / f"images/p{k:05d}.png", image)
        save_png(folder / f"predictions/p{k:05d}.png", np.where(prediction == IGNORE, 0, prediction).astype(np.uint8))
        save_scores(folder / f"scores/p{k:05d}.mat", 1 - 0.02 * noise)
        save_png(folder / f"mandg/p{k:05d}.png", np.where(ids >= 1000, labels, 0).astype(np.uint8))
        save_boxes(folder / f"boxes/p{k:05d}.mat", found, CITYSCAPES.names)
        tags = data.window_tags(labels, places, 19).astype(np.uint8)
        np.savez(folder / f"tags/p{k:05d}.npz", windows=places, tags=tags)
    return [f"p{k:05d}" for k in range(count)]


def inputs_in(folder):
    """Where the clean-up finds its inputs."""
    return iterate.Folders(*(folder / kind for kind in ("predictions", "scores", "mandg", "boxes", "tags")))


def clean(folder, ids, out, workers, repeats=1):
    """Seconds of the clean-up, the quickest of some; what was written before is on the disk when it begins."""
    seconds = float("inf")
    for _ in range(repeats):
        if repeats > 1:
            shutil.rmtree(out, ignore_errors=True)
        os.sync()
        start = time.perf_counter()
        write = partial(iterate.write_cleaned, folders=inputs_in(folder), out=out)
        for _ in parallel.map_images(write, [(name, cleanup.Options()) for name in ids], workers):
            pass
        seconds = min(seconds, time.perf_counter() - start)
    return seconds


def parts(folder):
    """Seconds of each part of one picture's labels."""
    image = read_rgb(folder / "images/p00000.png")
    picture = "p00000", cleanup.Options(), inputs_in(folder)
    start = time.perf_counter()
    found = iterate.read_inputs(*picture)["found"]
    read = time.perf_counter()
    iterate.clean_up(*picture)
    whole = time.perf_counter()
    single = found.boxes[~(found.stuff | found.groups)]
    masks.proposals_of(image, single, masks.Settings().side)
    proposed = time.perf_counter()
    masks.mask_pairs(image, found, masks.Settings())
    grabbed = time.perf_counter()
    print(f"one picture of {SIZE[0]} x {SIZE[1]}, {len(single)} instances, one process:")
    print(f"  read {read - start:.2f} s, read and clean up {whole - read:.2f} s")
    print(f"  M&G of {len(single)} boxes {grabbed - proposed:.1f} s, of which proposals {proposed - whole:.1f} s")


def mask_and_clean(folder, ids, workers):
    """Seconds of both label stages, M&G and clean-up, in WORKERS processes."""
    items, out = [Item(name, folder / f"images/{name}.png", None) for name in ids], folder / f"both_{workers}"
    start = time.perf_counter()
    make = partial(masks.mandg_labels, box_folder=folder / "boxes", space=CITYSCAPES, settings=masks.Settings())
    for _ in label_maps.write_labels(make, items, [out / "mandg"], workers, palette=CITYSCAPES.palette):
        pass
    return time.perf_counter() - start + clean(folder, ids, out, workers)


def killed(folder, ids, out, workers):
    """Kill the clean-up after a while, continue: how many pictures were kept, and whether all is as without."""
    words = [sys.executable, "-m", "benchmarks.panoptic_labels", "--child", str(folder), str(out), str(len(ids))]
    process = subprocess.Popen([*words, str(workers)])
    while len(list(out.glob("labels/*.png"))) < len(ids) // 3 and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(1)  # its workers leave by themselves
    kept = len(list(out.glob("instances/*.png")))
    seconds = clean(folder, ids, out, workers)
    whole = folder / f"out_{len(ids)}_{workers}"
    same = all((out / kind / f"{name}.png").read_bytes() == (whole / kind / f"{name}.png").read_bytes()
               for name in ids for kind in ("labels", "instances"))
    left = [path for path in out.rglob("*.tmp")]
    print(f"killed with {kept} of {len(ids)} done, continued in {seconds:.1f} s; same files: {same}; "
          f"{len(left)} half-written temporary files")
    return same


def main(count=144, workers=2):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        ids = prepare(folder, count)
        parts(folder)
        print("pictures  workers  clean-up s  a picture ms  peak MiB (parent, largest worker)")
        for number, processes in ((count // 4, 1), (count // 2, 1), (count, 1), (count, workers)):
            seconds = clean(folder, ids[:number], folder / f"out_{number}_{processes}", processes, repeats=2)
            peaks = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF,
                                                                          resource.RUSAGE_CHILDREN)]
            print(f"{number:8d} {processes:8d} {seconds:11.1f} {1000 * seconds / number:13.0f} {peaks[0]:9.0f} "
                  f"{peaks[1]:9.0f}", flush=True)
        some = ids[:12]
        alone, together = (mask_and_clean(folder, some, processes) for processes in (1, workers))
        print(f"both label stages of {len(some)} pictures: {alone:.1f} s alone, {together:.1f} s in {workers} "
              f"processes, {alone / together:.2f} x", flush=True)
        same = killed(folder, ids, folder / "killed", workers)
    return [Row(f"label stages of {len(some)} street scenes of {SIZE[0]} x {SIZE[1]}, {workers} processes",
                f"{alone:.1f} s, one after another", f"{together:.1f} s", f"{alone / together:.2f} x",
                "killed and continued: " + ("same files" if same else "other files"), "1.8 x on 2 cores",
                alone / together >= 1.8 and same)]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        home, target, pictures, processes = sys.argv[2:]
        clean(Path(home), [f"p{k:05d}" for k in range(int(pictures))], Path(target), int(processes))
    else:
        main(*map(int, sys.argv[1:]))
