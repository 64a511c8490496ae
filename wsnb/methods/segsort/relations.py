"""The four relations of the paper: which segments attract a pixel and which repel it.

Each function returns what `contrast` wants: (chosen pixels or None for all, own, group, positive, chosen prototypes or
None). Everything is integer work without gradients.
"""

from dataclasses import dataclass

import torch

from wsnb.methods.segsort import retrieval

ALIKE = 0.95  # cosine from which on two segments have the same class

@dataclass
class Relation:
    """pixels, prototypes: indices of those that take part; own, group int64 [P]; positive bool [G, S] (see
    `contrast`)."""

    pixels: torch.Tensor
    own: torch.Tensor
    group: torch.Tensor
    positive: torch.Tensor
    prototypes: torch.Tensor

    def __len__(self):
        return len(self.pixels)

    def of_pixel(self, k):
        """(indices of attracting, of repelling prototypes) of the K-th pixel that takes part; its own is in neither."""
        mask, own = self.positive[self.group[k]].clone(), int(self.own[k])
        others = torch.ones_like(mask)
        others[own] = False
        return self.prototypes[mask & others], self.prototypes[~mask & others]


def annotation(semantic, own, prototype_semantic, n_classes) -> Relation:
    """Semantic annotation: labelled pixels are drawn to labelled segments of their class, in any picture."""
    pixels, kept = (semantic < n_classes).nonzero()[:, 0], prototype_semantic < n_classes
    renumbered = kept.long().cumsum(0) - 1
    classes = torch.arange(n_classes, device=semantic.device)
    positive = prototype_semantic[kept][None] == classes[:, None]  # [n_classes, S]
    return Relation(pixels, renumbered[own[pixels]], semantic[pixels], positive, kept.nonzero()[:, 0])


def co_occurrence(picture, own, tags, prototype_tags) -> Relation:
    """Semantic co-occurrence: pixels of a picture are drawn to the segments of pictures that share a foreground class.

    tags 0/1 [N, T] of the pictures, prototype_tags [S, T]; picture int64 [P].
    """
    positive = tags.float() @ prototype_tags.float().T > 0  # [N, S]
    return Relation(_all(picture), own, picture, positive, _all(prototype_tags))


def image_similarity(region, own, prototype_region) -> Relation:
    """Low-level image similarity, within one picture: pixels are drawn to the segments of their region."""
    regions, group = torch.unique(region, return_inverse=True)
    return Relation(_all(region), own, group, prototype_region[None] == regions[:, None], _all(prototype_region))


def feature_affinity(own, sets) -> Relation:
    """Feature affinity: pixels are drawn to segments whose sets of likely classes (0/1 [S, T]) meet their own one's."""
    kinds, group = torch.unique(sets, dim=0, return_inverse=True)
    return Relation(_all(own), own, group[own], kinds.float() @ sets.float().T > 0, _all(sets))


def affinity_sets(prototypes, n_classes) -> torch.Tensor:
    """The class sets of `feature_affinity`, 0/1 [S, n_classes]: the label of the most similar labelled segment of the
    same picture, where the cosine of their features reaches ALIKE; all classes where it does not."""
    with torch.no_grad():
        sets = retrieval.label_sets(prototypes.feature, prototypes.feature, prototypes.semantic, prototypes.picture,
                                    prototypes.picture, n_classes, 1, ALIKE)
        return torch.where(sets.any(1, keepdim=True), sets, torch.ones_like(sets))


def _all(values):
    return torch.arange(len(values), device=values.device)
