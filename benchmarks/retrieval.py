"""The 20 nearest of many prototypes: a partial selection against a full sort. `python -m benchmarks.retrieval
[queries] [prototypes]`"""

import sys

import torch

from benchmarks import spml_plain
from benchmarks.rows import Row
from wsnb.ops.segsort.retrieval import nearest_neighbours

THREADS = spml_plain.THREADS


def main(queries=144, prototypes=50_000, k=20):
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    q, memory = (torch.nn.functional.normalize(torch.randn(n, 64), dim=1) for n in (queries, prototypes))
    slow = spml_plain.timed(spml_plain.nearest, q, memory, k, repeats=3)
    fast = spml_plain.timed(nearest_neighbours, q, memory, k, repeats=5)
    print(f"{k} nearest of {prototypes} prototypes for {queries} queries, {THREADS} threads")
    spml_plain.report(slow, fast, 1000, "ms")
    differ, faster = int((slow[2] != fast[2][1]).sum()), slow[1] / fast[1]
    print(f"neighbours that differ: {differ}")
    return [Row(f"{k} nearest of {prototypes:,} prototypes, {queries} queries",
                f"{1000 * slow[1]:.0f} ms of a processor", f"{1000 * fast[1]:.1f} ms of a processor",
                f"{faster:.0f} x", f"{differ} neighbours differ", "15 x", faster >= 15)]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
