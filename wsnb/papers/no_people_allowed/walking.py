"""IRNet's boundaries and the random walk over a data set: the network here, the walks in worker processes."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from wsnb import files
from wsnb.data import read
from wsnb.methods import cam_store, irnet, label_crf
from wsnb.methods.cam import squashed
from wsnb.methods.crf import CRF
from wsnb.papers.no_people_allowed import pseudo
from wsnb.papers.no_people_allowed.recipes import sized


@dataclass(frozen=True)
class Walk:
    """radius, beta and 2^exp_times steps; rule of the class maps' maximum."""

    normalise: str
    radius: int = 5
    beta: int = 10
    exp_times: int = 8


@dataclass(frozen=True)
class Job:
    """One picture's walk."""

    id: str
    cams: Path
    edge: np.ndarray
    size: tuple
    cover: tuple
    walk: Walk
    folder: Path


def edge_of(network, image, side=0, scale=1.0, pad=0):
    """(boundaries [h, w], displacements [2, h, w], cover) of a picture uint8 [H, W, 3]; see `irnet.flipped_edges`. The
    network stays where it is; the arrays are NumPy's.

    cover: how far the two reach beyond the picture, see `cam.covering`. Pictures in their own shape (SIDE 0) are
    enlarged fourfold and cropped, as IRN does, squashed ones resized as a whole.
    """
    x = squashed(sized(image, side, scale), 0)[1].to(next(network.parameters()).device)
    edge, moved = irnet.flipped_edges(network, x, pad)
    cover = (1.0, 1.0) if side else pseudo.reach(edge.shape, x.shape[-2:])
    return edge.cpu().numpy(), moved.cpu().numpy(), cover


def jobs(network, items, cams, folder, walk, side=0, scale=1.0, pad=0):
    """A job a picture; None where its maps are in FOLDER already."""
    for item in items:
        if (Path(folder) / f"{item.id}.npz").exists():
            yield None
            continue
        image = read.image(item)
        edge, _, cover = edge_of(network, image, side, scale, pad)
        yield Job(item.id, Path(cams), edge, image.shape[:2], cover, walk, Path(folder))


def finish(job: Job | None) -> None:
    """Walk and keep the maps, float16 at the boundaries' size, to be read at the picture's."""
    if job is None:
        return
    keys, raw = cam_store.read(job.cams, job.id, "stored")
    maps = pseudo.normalised(raw, job.walk.normalise)
    spread = pseudo.walked(maps, job.edge, job.walk.radius, job.walk.beta, job.walk.exp_times)
    cam_store.write(job.folder, job.id, keys, spread, job.size, job.cover)


@dataclass(frozen=True)
class Mask:
    """One pseudo mask to write: walked maps in FOLDER above THRESHOLD. crf: on the picture at SIDE and SCALE (see
    `recipes.sized`), or None."""

    id: str
    folder: Path
    threshold: float
    path: Path
    image: Path
    side: int = 0
    scale: float = 1.0
    crf: CRF | None = None


def write_mask(job: Mask) -> None:
    """The pseudo mask at the picture's size, uint8 PNG; what is there stays."""
    if job.path.exists():
        return
    keys, maps = cam_store.read(job.folder, job.id)
    if not job.crf or not job.crf.iterations:
        files.save_png(job.path, pseudo.labels(pseudo.normalised(maps, "joint"), keys + 1, job.threshold))
        return
    image = files.read_rgb(job.image)
    small = sized(image, job.side, job.scale)
    keys, maps = cam_store.read(job.folder, job.id, small.shape[:2])
    numbers = np.concatenate([[0], keys + 1])
    label = label_crf.with_background(pseudo.normalised(maps, "joint"), job.threshold)
    refined = numbers[label_crf.refine_labels(small, [label], len(numbers), job.crf)[0]].astype(np.uint8)
    files.save_png(job.path, cv2.resize(refined, image.shape[1::-1], interpolation=cv2.INTER_NEAREST))
