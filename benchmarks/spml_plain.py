"""SPML's published formulations, written straight down: oracles of the tests and the other side of the benchmarks."""

import os
import time

import torch

THREADS = int(os.environ.get("THREADS", 2))


def timed(function, *arguments, repeats=1):
    """(seconds on the clock, seconds of processor time, result) of the quickest of some calls. On a machine with other
    work only the second says something, best with THREADS=1."""
    clock = processor = float("inf")
    for _ in range(repeats):
        start, used = time.perf_counter(), time.process_time()
        result = function(*arguments)
        clock, processor = min(clock, time.perf_counter() - start), min(processor, time.process_time() - used)
    return clock, processor, result


def report(slow, fast, unit=1.0, name="s"):
    """Lines of two (clock, processor, ...): seconds and their ratios."""
    for side, (clock, processor, *_) in (("plain", slow), ("ours", fast)):
        print(f"{side:6} {unit * clock:9.2f} {name} on the clock, {unit * processor:9.2f} {name} of processor time")
    print(f"ratio  {slow[0] / fast[0]:9.1f} x{' ' * len(name)}             {slow[1] / fast[1]:9.1f} x")


def contrast(pixels, own, group, positive, prototypes, kappa):
    """The loss with every similarity and mask at full size; group [P] picks a pixel's row of positive [G, S]."""
    similarity = torch.exp(torch.mm(pixels, prototypes.t()) * kappa)
    positives = positive[group].float()
    negatives = 1 - positives
    mine = torch.gather(similarity, 1, own.view(-1, 1))
    numerator = (similarity * positives).sum(1, keepdim=True) - mine
    numerator = torch.where(numerator > 0, numerator, mine)
    denominator = numerator + (similarity * negatives).sum(1, keepdim=True)
    return -torch.log(numerator / denominator).mean()


def nearest(queries, memory, k):
    """Indices of the k most similar rows by sorting all of them."""
    return torch.argsort(torch.mm(queries, memory.t()), dim=1, descending=True)[:, :k]


def random_walk(seeds, rows, squarings=6):
    """T by its definition, squared SQUARINGS times; seeds [K, n], rows unit [n, C]."""
    affinity = torch.exp(5 * torch.mm(rows, rows.t()) - 5) ** 20
    matrix = affinity / affinity.sum(0, keepdim=True)
    for _ in range(squarings):
        matrix = torch.mm(matrix, matrix)
    return torch.mm(seeds, matrix)
