"""The contrastive loss of pixels and prototypes, forward and backward: seconds, peak memory, largest difference.

Each side runs in a process of its own; memory is the rise of the peak resident size above what stood before the call.
The plain form takes about 10 GB at full size. `python -m benchmarks.contrastive [pixels] [prototypes]`
"""

import multiprocessing
import resource
import sys

import torch

from benchmarks import spml_plain
from benchmarks.rows import Row, size
from wsnb.ops.segsort.contrast import contrastive_loss

KAPPA, CLASSES, THREADS = 6.0, 21, spml_plain.THREADS


def inputs(pixels, prototypes):
    torch.manual_seed(0)
    labels = torch.randint(0, CLASSES, (prototypes,))
    own = torch.randint(0, prototypes, (pixels,))
    u = torch.nn.functional.normalize(torch.randn(prototypes, 64), dim=1)
    e = torch.nn.functional.normalize(u[own] + 0.1 * torch.randn(pixels, 64), dim=1)
    positive = labels[None] == torch.arange(CLASSES)[:, None]
    return e.requires_grad_(), own, labels[own], positive, u.requires_grad_()


def measure(which, pixels, prototypes, queue):
    torch.set_num_threads(THREADS)

    def call(e, own, group, positive, u):
        function = spml_plain.contrast if which == "plain" else lambda *a: contrastive_loss(*a).mean()
        loss = function(e, own, group, positive, u, KAPPA)
        loss.backward()
        return float(loss.detach()), e.grad, u.grad

    call(*inputs(500, 100))
    arguments = inputs(pixels, prototypes)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    clock, processor, (value, of_pixels, of_prototypes) = spml_plain.timed(call, *arguments)
    rise = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    queue.put((clock, processor, rise, value, of_pixels[::97].numpy(), of_prototypes.numpy()))


def run(which, pixels, prototypes):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=measure, args=(which, pixels, prototypes, queue))
    process.start()
    result = queue.get()
    process.join()
    return result


def main(pixels=65536, prototypes=4000):
    slow, fast = run("plain", pixels, prototypes), run("ours", pixels, prototypes)
    print(f"contrastive loss, {pixels} pixels x {prototypes} prototypes, forward + backward, {THREADS} threads")
    spml_plain.report(slow, fast)
    print(f"peak memory {slow[2] / 2**20:.0f} MiB against {fast[2] / 2**20:.1f} MiB: {slow[2] / max(fast[2], 1):.1f} x")
    print(f"loss {fast[3]:.6f} differs by {abs(slow[3] - fast[3]):.2g}, gradients by "
          f"{relative(slow[4], fast[4]):.2g} and {relative(slow[5], fast[5]):.2g} of the largest")
    faster, smaller = slow[1] / fast[1], slow[2] / max(fast[2], 1)
    worst = max(relative(slow[4], fast[4]), relative(slow[5], fast[5]))
    return [Row(f"contrastive loss, {pixels:,} pixels x {prototypes:,} prototypes, forward and backward",
                f"{slow[1]:.1f} s of a processor, {size(slow[2])}", f"{fast[1]:.1f} s of a processor, {size(fast[2])}",
                f"{faster:.2f} x, memory {smaller:.0f} x", f"gradients differ by {worst:.1g} of the largest",
                "no slower, memory 8 x", faster >= 1 and smaller >= 8)]


def relative(a, b):
    return float(abs(a - b).max() / abs(a).max())


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
