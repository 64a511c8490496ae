"""The contrastive loss of pixels and segments, -log(positive / (positive + negative)) over exp(kappa cosine), and the
four relations that say which segments attract a pixel and which repel it (Ke et al., ICLR 2021).

Pixels come in groups (a class, a picture, a region) that agree about which prototypes attract them: `positive` is bool
[G, S], and all others repel. Own segments are left out of the attracting ones; a pixel that nothing else attracts is
drawn to its own segment. Relations are integers without gradients.
"""

from dataclasses import dataclass

import torch
import torch.distributed as dist

from wsnb.models.distributed import process_count
from wsnb.ops.segsort import retrieval
from wsnb.ops.segsort.chunks import cells_at_once
from wsnb.ops.segsort.segments import Prototypes


def gather_prototypes(prototypes, pictures):
    """Gather (prototypes of all processes in their order, place of this process's first one).

    Every process brings PICTURES pictures, which are numbered through. Gradients flow back to the process that a
    prototype came from: with gradients averaged over processes, as Fabric does, the sum is that of the mean of all
    processes' losses.
    """
    if process_count() == 1:
        return prototypes, 0
    rank = dist.get_rank()
    counts = [torch.zeros(1, dtype=torch.long, device=prototypes.picture.device) for _ in range(process_count())]
    dist.all_gather(counts, counts[0].new_tensor([len(prototypes)]))
    counts = [int(count) for count in counts]
    own = {**vars(prototypes), "picture": prototypes.picture + rank * pictures}
    joined = {name: torch.cat(_rows(value, counts)) for name, value in own.items()}
    return Prototypes(**joined), sum(counts[:rank])


def _rows(value, counts):
    """Gather the rows of every process; all send as many as the one with most, since gathering wants equal shapes."""
    padded = torch.cat([value, value.new_zeros(max(counts) - len(value), *value.shape[1:])])
    if value.is_floating_point():
        from torch.distributed.nn.functional import all_gather

        parts = all_gather(padded)
    else:
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
    return [part[:count] for part, count in zip(parts, counts, strict=True)]


ALIKE = 0.95  # cosine from which on two segments have the same class

@dataclass
class Relation:
    """pixels, prototypes: indices of those that take part; own, group int64 [P]; positive bool [G, S] (see
    `contrastive_loss`)."""

    pixels: torch.Tensor
    own: torch.Tensor
    group: torch.Tensor
    positive: torch.Tensor
    prototypes: torch.Tensor

    def __len__(self):
        return len(self.pixels)

    def of_pixel(self, k):
        """Return (indices of attracting, of repelling prototypes) of the K-th pixel that takes part; its own is in
        neither."""
        mask, own = self.positive[self.group[k]].clone(), int(self.own[k])
        others = torch.ones_like(mask)
        others[own] = False
        return self.prototypes[mask & others], self.prototypes[~mask & others]


def annotation(semantic, own, prototype_semantic, n_classes) -> Relation:
    """Relate by semantic annotation: labelled pixels are drawn to labelled segments of their class, in any picture."""
    pixels, kept = (semantic < n_classes).nonzero()[:, 0], prototype_semantic < n_classes
    renumbered = kept.long().cumsum(0) - 1
    classes = torch.arange(n_classes, device=semantic.device)
    positive = prototype_semantic[kept][None] == classes[:, None]  # [n_classes, S]
    return Relation(pixels, renumbered[own[pixels]], semantic[pixels], positive, kept.nonzero()[:, 0])


def co_occurrence(picture, own, tags, prototype_tags) -> Relation:
    """Relate by semantic co-occurrence: pixels are drawn to the segments of pictures that share a foreground class.

    tags 0/1 [N, T] of the pictures, prototype_tags [S, T]; picture int64 [P].
    """
    positive = tags.float() @ prototype_tags.float().T > 0  # [N, S]
    return Relation(_all(picture), own, picture, positive, _all(prototype_tags))


def image_similarity(region, own, prototype_region) -> Relation:
    """Relate by low-level image similarity within one picture: pixels are drawn to the segments of their region."""
    regions, group = torch.unique(region, return_inverse=True)
    return Relation(_all(region), own, group, prototype_region[None] == regions[:, None], _all(prototype_region))


def feature_affinity(own, sets) -> Relation:
    """Relate by feature affinity: pixels are drawn to segments whose likely classes (0/1 [S, T]) meet their own
    one's."""
    kinds, group = torch.unique(sets, dim=0, return_inverse=True)
    return Relation(_all(own), own, group[own], kinds.float() @ sets.float().T > 0, _all(sets))


def affinity_sets(prototypes, n_classes) -> torch.Tensor:
    """Compute the class sets of `feature_affinity`, 0/1 [S, n_classes]: the label of the most similar labelled segment
    of the same picture, where the cosine of their features reaches ALIKE; all classes where it does not."""
    with torch.no_grad():
        sets = retrieval.label_sets(prototypes.feature, prototypes.feature, prototypes.semantic, prototypes.picture,
                                    prototypes.picture, n_classes, 1, ALIKE)
        return torch.where(sets.any(1, keepdim=True), sets, torch.ones_like(sets))


def _all(values):
    return torch.arange(len(values), device=values.device)


CELLS = 2**20  # similarities held at once by `contrastive_loss` on a processor


def plain_contrastive_loss(pixels, own, group, positive, prototypes, kappa):
    """Compute the loss of each pixel [P] as the original does: positives are a sum less the own segment's term.

    pixels [P, C] and prototypes [S, C] of unit length; own int64 [P], the pixel's segment; group int64 [P]. In float32
    the subtraction loses small positives at a large kappa, and an own segment that is not of the pixel's kind counts
    among the negatives as well.
    """
    similarity = torch.exp(pixels @ prototypes.T * kappa)  # [P, S]
    same = positive[group].to(similarity.dtype)
    mine = similarity.gather(1, own[:, None])[:, 0]
    others = (similarity * same).sum(1) - mine
    attract = torch.where(others > 0, others, mine)
    return -torch.log(attract / (attract + (similarity * (1 - same)).sum(1)))


def contrastive_loss(pixels, own, group, positive, prototypes, kappa):
    """Compute the loss of each pixel [P] in chunks, without the plain form's cancellation; arguments as there.

    At most CELLS similarities (as many as fit on a GPU) exist at a time; the backward pass computes them again. Unit
    vectors bound every exponent by kappa; sums of exp(kappa (cosine - 1)) need no running maximum. The own segment
    never repels.
    """
    cells = cells_at_once(pixels.device, CELLS, 24)
    return _ContrastiveLoss.apply(pixels, prototypes, own, group, positive, float(kappa), cells)


class _ContrastiveLoss(torch.autograd.Function):
    """Per-pixel losses and their gradients; rows are visited group by group, so that a chunk needs few masks."""

    @staticmethod
    def forward(ctx, pixels, prototypes, own, group, positive, kappa, cells):
        order = torch.argsort(group, stable=True)
        attract, repel = pixels.new_empty(len(pixels)), pixels.new_empty(len(pixels))
        alone = torch.empty(len(pixels), dtype=torch.bool, device=pixels.device)
        for rows, masks, inverse in _chunks(order, group, positive, cells):
            weight = _weights(pixels, prototypes, rows, kappa)
            mine = weight.gather(1, own[rows, None])[:, 0]
            weight.scatter_(1, own[rows, None], 0.0)
            others = _chosen(weight @ masks.to(weight.dtype).T, inverse)
            negative = _chosen(weight @ (~masks).to(weight.dtype).T, inverse)
            lonely = others <= 0
            alone[rows], attract[rows], repel[rows] = lonely, torch.where(lonely, mine, others), negative
        ctx.save_for_backward(pixels, prototypes, own, group, positive, order, attract, repel, alone)
        ctx.settings = kappa, cells
        return torch.log1p(repel / attract)

    @staticmethod
    def backward(ctx, gradient):
        pixels, prototypes, own, group, positive, order, attract, repel, alone = ctx.saved_tensors
        kappa, cells = ctx.settings
        of_pixels, of_prototypes = torch.empty_like(pixels), torch.zeros_like(prototypes)
        total = attract + repel
        # d loss / d cosine_j = kappa weight_j / total where j repels, kappa weight_j (1 / total - 1 / attract) else
        push, pull = kappa * gradient / total, -kappa * gradient * repel / (total * attract)
        for rows, masks, inverse in _chunks(order, group, positive, cells):
            weight = _weights(pixels, prototypes, rows, kappa)
            column = own[rows, None]
            mine = weight.gather(1, column)[:, 0]
            lonely = alone[rows]
            far, near = push[rows], pull[rows]
            if len(masks) == 1:
                factor = torch.where(masks, torch.where(lonely, 0.0, near)[:, None], far[:, None])
            else:
                factor = torch.where(masks[inverse], torch.where(lonely, 0.0, near)[:, None], far[:, None])
            weight *= factor
            weight.scatter_(1, column, (mine * torch.where(lonely, near, 0.0))[:, None])
            of_pixels[rows] = weight @ prototypes
            of_prototypes.addmm_(weight.T, pixels[rows])
        return of_pixels, of_prototypes, None, None, None, None, None


def _chunks(order, group, positive, cells):
    """(rows [p], masks of the groups among them [g, S], each row's mask [p])."""
    step = max(1, cells // max(positive.shape[1], 1))
    for rows in order.split(step):
        groups, inverse = torch.unique_consecutive(group[rows], return_inverse=True)
        yield rows, positive[groups], inverse


def _weights(pixels, prototypes, rows, kappa):
    """exp(kappa (cosine - 1)) of some pixels with all prototypes, [p, S]."""
    return torch.addmm(pixels.new_full((1,), -kappa), pixels[rows], prototypes.T, alpha=kappa).exp_()


def _chosen(sums, inverse):
    return sums[:, 0] if sums.shape[1] == 1 else sums.gather(1, inverse[:, None])[:, 0]
