"""Segments looked up among other segments: nearest neighbours, their votes, sets of labels; the memory bank of
prototypes of the last iterations (SPML, Ke et al., ICLR 2021)."""

import torch
import torch.nn.functional as F

from wsnb.ops.segsort.chunks import cells_at_once
from wsnb.ops.segsort.segments import Prototypes


class MemoryBank:
    """Prototypes of the newest SIZE iterations, oldest first. `state_dict` makes it a part of `Training`."""

    def __init__(self, size=2):
        self.size, self.entries = size, []

    def add(self, prototypes, pictures) -> None:
        """Keep a detached copy; then the picture numbers of all entries grow by PICTURES, the batch's."""
        self.entries = [*self.entries, prototypes.detached()][-self.size :] if self.size else []
        for entry in self.entries:
            entry.picture = entry.picture + pictures

    def with_current(self, prototypes) -> Prototypes:
        """Join the current prototypes and the stored ones, the candidates of the losses."""
        device = prototypes.embedding.device  # entries of a checkpoint come back in main memory
        self.entries = [entry.to(device) for entry in self.entries]
        return Prototypes.joined([prototypes, *self.entries]) if self.entries else prototypes

    def state_dict(self):
        return {"size": self.size, "entries": [dict(vars(entry)) for entry in self.entries]}

    def load_state_dict(self, state):
        self.size, self.entries = state["size"], [Prototypes(**entry) for entry in state["entries"]]


CELLS = 2**24  # similarities held at once on a processor


@torch.no_grad()
def nearest_neighbours(queries, memory, k):
    """Find (cosines, indices) [Q, k] of the k rows of MEMORY [M, C] most similar to each of QUERIES [Q, C], best first.

    A partial selection instead of a full sort; fewer columns where the memory has fewer rows.
    """
    cells = cells_at_once(queries.device, CELLS, 8)
    k, step = min(k, len(memory)), max(1, cells // max(len(memory), 1))
    parts = [(part @ memory.T).topk(k, dim=1) for part in queries.split(step)] if len(queries) else []
    if not parts:
        return queries.new_zeros(0, k), torch.zeros(0, k, dtype=torch.long, device=queries.device)
    return torch.cat([values for values, _ in parts]), torch.cat([indices for _, indices in parts])


def votes(labels, n_classes) -> torch.Tensor:
    """Count the share of each class among retrieved LABELS int64 [Q, k]: float32 [Q, n_classes]."""
    return F.one_hot(labels, n_classes).sum(1).float() / labels.shape[1]


def label_sets(queries, keys, labels, query_picture, key_picture, n_classes, top, threshold) -> torch.Tensor:
    """Name the labels of the TOP nearest admissible KEYS of each query: 0/1 [Q, n_classes].

    Admissible: of the query's picture and labelled (< n_classes); the similarity of the others is replaced by the
    smallest of all less 1, so that they come last. A label counts where the similarity reaches THRESHOLD.
    """
    sets = torch.zeros(len(queries), n_classes, dtype=torch.long, device=queries.device)
    if not len(keys) or not len(queries):
        return sets
    similarity = queries @ keys.T
    admissible = (query_picture[:, None] == key_picture[None]) & (labels < n_classes)[None]
    lowest = similarity.min() - 1
    found, index = torch.where(admissible, similarity, lowest).topk(min(top, len(keys)), dim=1)
    named = labels[index]
    counts = (found >= threshold) & (named < n_classes)
    return sets.scatter_reduce_(1, named.clamp(max=n_classes - 1), counts.long(), "amax")
