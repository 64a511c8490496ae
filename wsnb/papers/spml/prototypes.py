"""Prototypes of the training pictures with their labels, and the votes of those nearest to a picture's segments."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from wsnb.data.read import image as image_of
from wsnb.files import FileError, load_npz, save_npz
from wsnb.ops.label_maps import need_finite
from wsnb.ops.segsort import retrieval
from wsnb.ops.segsort.segments import majority, prototypes, segment
from wsnb.papers.spml import data, inference, pseudo_labels

VOID = 255


@dataclass(frozen=True)
class Clustering:
    """How whole pictures are cut into segments. size: longer side (0: its own); crop, stride: of the windows (0: one);
    cropped: the grid spans the picture and not its padding."""

    network: object
    clusters: tuple = (12, 12)
    iterations: int = 10
    size: int = 0
    crop: int = 0
    stride: int = 0
    cropped: bool = False
    device: str = "cpu"

    @torch.no_grad()
    def __call__(self, image, scale=1.0, mirrored=False):
        """Cut a picture uint8 [H, W, 3]: (prototypes float32 [S, C], segment of every pixel int64 [h, w])."""
        x = data.network_input(image, self.size, scale, mirrored)
        height, width = x.shape[2:]
        e = inference.embedding(self.network, x, self.crop, self.stride, self.device, self.cropped)[None]
        semantic = torch.full((1, *e.shape[2:]), VOID, device=e.device)
        semantic[:, :height, :width] = 0
        found = segment(e, semantic, None, self.clusters, self.iterations)
        return prototypes(found.embedding, found.index, found.count), found.index.reshape(height, width)


def extract(clustering, image, labels, scales=(1.0,)) -> dict:
    """Extract the segments of a picture over SCALES: "prototype" [S, C], "label" uint8 [S], the most frequent of LABELS
    uint8 [H, W] in each, "box" float32 [S, 4], (x0, y0, x1, y1) in 0..1 for looking at them."""
    parts = {"prototype": [], "label": [], "box": []}
    for scale in scales:
        rows, index = clustering(image, scale)
        parts["prototype"].append(rows.cpu().numpy())
        parts["label"].append(labels_of(index, labels, len(rows)))
        parts["box"].append(_boxes(index.cpu().numpy(), len(rows)))
    return {name: np.concatenate(values) for name, values in parts.items()}


def labels_of(index, labels, count):
    """Find the most frequent of LABELS uint8 [H, W] in each of COUNT segments INDEX int64 [h, w]: uint8 [count]."""
    small = data.resize(None, labels, index.shape)[1]
    flat = torch.from_numpy(small.astype(np.int64)).to(index.device).ravel()
    return majority(flat, index.ravel(), count).cpu().numpy().astype(np.uint8)


def _boxes(index, count):
    rows, columns = np.indices(index.shape)
    found = np.zeros((count, 4), np.float32)
    for k, values in enumerate((columns / index.shape[1], rows / index.shape[0])):
        found[:, k], found[:, k + 2] = np.inf, -np.inf
        np.minimum.at(found[:, k], index.ravel(), values.ravel())
        np.maximum.at(found[:, k + 2], index.ravel(), values.ravel() + 1 / index.shape[1 - k])
    return found


def write(clustering, items, label_of, folder, scales=(1.0,)):
    """Write the segments of ITEMS into FOLDER by `extract`, and yield once for each; files there are kept."""
    for item in items:
        path = Path(folder) / f"{item.id}.npz"
        if not path.exists():
            found = extract(clustering, image_of(item), label_of(item), scales)
            need_finite(found["prototype"], path)
            save_npz(path, **found)
        yield


@dataclass
class Memory:
    """All labelled training segments: prototype float32 [M, C], label int64 [M], picture int64 [M] (place in the list
    of pictures), box float32 [M, 4]."""

    prototype: torch.Tensor
    label: torch.Tensor
    picture: np.ndarray
    box: np.ndarray

    def to(self, device) -> "Memory":
        """Bring the tensors to DEVICE."""
        return replace(self, prototype=self.prototype.to(device), label=self.label.to(device))


def read(folder, items, device="cpu") -> Memory:
    """Read the segments of ITEMS in FOLDER; those labelled void or nothing (254, 255) are dropped. Raises FileError."""
    parts = [load_npz(Path(folder) / f"{item.id}.npz") for item in items]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in ("prototype", "label", "box")}
    picture = np.repeat(np.arange(len(parts)), [len(part["label"]) for part in parts])
    kept = joined["label"] < VOID - 1
    if not kept.any():
        raise FileError(f"{folder}: no segment has a label; look at the pseudo labels that 06 read")
    return Memory(torch.from_numpy(joined["prototype"][kept]).to(device),
                  torch.from_numpy(joined["label"][kept].astype(np.int64)).to(device), picture[kept],
                  joined["box"][kept])


@torch.no_grad()
def vote_maps(clustering, memory, image, n_classes, neighbours=20, scales=(1.0,), flip=False):
    """Count the share of the votes of each class at each pixel, float32 [C, h, w]: the NEIGHBOURS nearest training
    segments vote for a segment, and all its pixels take that.

    One variant stays at the clustering's size; several are brought to one (cv2 bilinear), un-mirrored and averaged.
    """
    total, count, shape = 0, 0, None
    for scale in scales:
        for mirrored in (True, False) if flip else (False,):
            rows, index = clustering(image, scale, mirrored)
            _, places = retrieval.nearest_neighbours(rows, memory.prototype, neighbours)
            votes = retrieval.votes(memory.label[places], n_classes)
            votes[~rows.isfinite().all(1)] = torch.nan  # nothing is nearest to them
            maps = votes[index].permute(2, 0, 1).cpu().numpy()
            if shape is None:
                shape = data.network_input(image, clustering.size).shape[2:] if len(scales) > 1 else index.shape
            maps = maps if maps.shape[1:] == tuple(shape) else pseudo_labels.enlarged(maps, shape)
            total, count = total + (maps[..., ::-1] if mirrored else maps), count + 1
    return total / count
