"""Random walk of class maps over the similarity of pixel embeddings (SPML, Ke et al., ICLR 2021)."""

import math
import warnings

import torch
import torch.nn.functional as F

from wsnb.ops.random_walk import flushed_denormals
from wsnb.ops.segsort.segments import unit

NOTHING = 1e-19  # smaller affinities carry nothing, and products of two of them would be denormal: slow
ROWS = 64  # of a matrix at a time, so that they stay in the cache
SPARSE = 0.5  # of a^20 that is not 0: below this its products are quicker without the zeros


def embedding_at(embedding, size):
    """Reduce a raw embedding [1, C, H, W] to unit rows [h w, C] at SIZE (h, w), resized bilinearly."""
    small = F.interpolate(embedding, size=tuple(size), mode="bilinear", align_corners=False)[0]
    return unit(small.flatten(1).T)


def affinity(embeddings):
    """Compute a [n, n] = mean over variants (scales, mirror images) of exp(5 cosine - 5); embeddings: several unit [n,
    C]."""
    n, first = len(embeddings[0]), embeddings[0]
    total, least = first.new_zeros(n, n), first.new_full((1,), -5.0)
    for block in torch.arange(n).split(ROWS):
        part = slice(int(block[0]), int(block[-1]) + 1)
        for rows in embeddings:
            total[part] += torch.addmm(least, rows[part], rows.T, alpha=5).exp_()
    return total.div_(len(embeddings)) if len(embeddings) > 1 else total


def sharpened(affinity):
    """Raise the affinity to a^20 by five products; a alone is exp(5 (cosine - 1)); this is exp(100 (cosine - 1)) for
    one variant."""
    power = torch.empty_like(affinity)
    for rows, out in zip(affinity.split(ROWS), power.split(ROWS), strict=True):
        fourth = rows.square().square_()
        torch.mul(fourth.square().square_(), fourth, out=out)
        F.threshold_(out, NOTHING, 0.0)
    return power


def chebyshev(steps) -> list[float]:
    """Return the coefficients c_k of x^STEPS = sum of c_k C_k(2 x - 1), C_k Chebyshev's polynomials; those that
    together are below 1e-8 are left out. They are binomial probabilities: about 32 of them make 64 steps."""
    whole = [math.comb(2 * steps, steps - k) / 2 ** (2 * steps - (k > 0)) for k in range(steps + 1)]
    kept = len(whole)
    while kept > 2 and sum(whole[kept - 1 :]) < 1e-8:
        kept -= 1
    return whole[:kept]


def product(power):
    """Return the function x [K, n] -> x @ POWER, symmetric [n, n]. Most affinities of unlike pixels are 0: on a CPU
    they are left out."""
    if power.is_cuda or int(torch.count_nonzero(power)) > SPARSE * power.numel():
        return lambda x: x @ power
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        sparse = power.to_sparse_csr()
    return lambda x: (sparse @ x.T.contiguous()).T


def random_walk(seeds, affinity, steps):
    """Walk: seeds [K, h, w] @ T^STEPS, T [n, n] being a^20 with columns that sum to 1: float32 [K, h, w].

    The original squares T six times. Here the rows that hold anything are multiplied by T a few times: T's eigenvalues
    lie in [0, 1] (a and its powers are positive definite), where a Chebyshev series takes half as many products as
    steps, to an error of 1e-8 of the largest seed. Denormal numbers are flushed: they are slow.
    """
    rows = seeds.reshape(len(seeds), -1)
    present = rows.abs().amax(1) > 0
    if not present.any() or steps == 0:
        return seeds.clone()
    with torch.no_grad(), flushed_denormals():
        power = sharpened(affinity)
        scale, times = 2 / power.sum(0), product(power)
        weights = chebyshev(steps)
        before = rows[present]
        now = times(before).mul_(scale).sub_(before)  # x (2 T - 1), one product
        total = weights[0] * before + weights[1] * now
        for weight in weights[2:]:
            before, now = now, times(now).mul_(scale).sub_(now).mul_(2).sub_(before)
            total.add_(now, alpha=weight)
    walked = torch.zeros_like(rows)
    walked[present] = total
    return walked.view(seeds.shape)
