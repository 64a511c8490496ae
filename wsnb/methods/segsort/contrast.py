"""The contrast of pixels with segments: -log(positive / (positive + negative)) over exp(kappa cosine).

Pixels come in groups (a class, a picture, a region) that agree about which prototypes attract them: `positive` is bool
[G, S], and all others repel. Own segments are left out of the attracting ones; a pixel that nothing else attracts is
drawn to its own segment (Ke et al., ICLR 2021).
"""

import torch

CELLS = 2**20  # similarities held at once by `contrast` on a processor


def plain(pixels, own, group, positive, prototypes, kappa):
    """Loss of each pixel [P], as the original computes it: positives are a sum less the own segment's term.

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


def contrast(pixels, own, group, positive, prototypes, kappa):
    """Loss of each pixel [P]; arguments as in `plain`, in chunks, without the plain form's cancellation.

    At most CELLS similarities (64 times as many on a GPU) exist at a time; the backward pass computes them again. Unit
    vectors bound every exponent by kappa, so sums of exp(kappa (cosine - 1)) need no running maximum. The own segment
    never repels.
    """
    cells = CELLS if pixels.device.type == "cpu" else 64 * CELLS
    return _Contrast.apply(pixels, prototypes, own, group, positive, float(kappa), cells)


class _Contrast(torch.autograd.Function):
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
