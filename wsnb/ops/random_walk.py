"""Random walk of class maps over pixel affinities (Ahn et al., CVPR 2019, section 5.2), without a dense matrix."""

import contextlib

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse

from wsnb.ops.affinity import directions, path

FEW = 4  # maps up to which SciPy multiplies one after another faster than all at once (2.2 times for two)


@contextlib.contextmanager
def flushed_denormals():
    """Count tiny numbers as 0 inside the block: they carry nothing and cost the processor 18 times the work. One
    thread only."""
    probe = np.full(2, 1e-39, np.float32)
    was = bool((probe * np.float32(0.5))[0] == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(was)


def transition(edge, radius=5, beta=10):
    """Compute (a^beta as a sparse symmetric matrix [h w, h w], its column sums [h w]) of boundary probabilities EDGE
    [h, w].

    The affinity a of two pixels within RADIUS is 1 - the largest boundary on the path between them; a pixel's own is 1.
    Divided by the sums, the columns are transition probabilities. Every row has the same number of entries (69 for
    radius 5), and the matrix is filled direction by direction; entries outside of the picture are 0.
    """
    edge = np.asarray(edge, np.float32)
    height, width = edge.shape
    ways, size = directions(radius), height * width
    values = np.zeros((height, width, 2 * len(ways) + 1))
    columns = np.zeros((height, width, 2 * len(ways) + 1), np.int32)
    numbers = np.arange(size, dtype=np.int32).reshape(height, width)
    values[..., -1], columns[..., -1] = 1, numbers
    for k, (dy, dx) in enumerate(ways):
        if dy >= height or abs(dx) >= width:
            continue
        windows = _windows(dy, dx, height, width)
        affinity = (1 - np.maximum.reduce([edge[window] for window in windows])) ** np.float32(beta)
        there, here = windows[0], windows[-1]  # ends and starts
        values[..., 2 * k][here], columns[..., 2 * k][here] = affinity, numbers[there]
        values[..., 2 * k + 1][there], columns[..., 2 * k + 1][there] = affinity, numbers[here]
    starts = np.arange(0, values.size + 1, values.shape[-1], dtype=np.int32)
    return sparse.csr_array((values.ravel(), columns.ravel(), starts), shape=(size, size)), values.sum(-1).ravel()


def _windows(dy, dx, height, width):
    """The part of the map that each point of the path to (dy, dx) covers while its source runs over the map."""
    left, right = max(0, -dx), width - max(0, dx)
    return [np.s_[y : height - dy + y, left + x : right + x] for y, x in path(dy, dx).tolist()]


def random_walk(cam, edge, radius=5, beta=10, exp_times=8, device="cpu"):
    """Spread class maps CAM float [K, h, w] along boundaries EDGE [h, w] in [0, 1]: float32 [K, h, w].

    x (1 - e) T^(2^exp_times), x a row of pixels. The original squares T exp_times times, (h w)^2 numbers; here
    2^exp_times sparse products in double precision give the same sums in another order, by SciPy or, on another DEVICE
    than the processor, by torch. Raises ValueError if the sizes differ.
    """
    cam, edge = np.asarray(cam, np.float32), np.asarray(edge, np.float32)
    if cam.shape[1:] != edge.shape:
        raise ValueError(f"class maps {cam.shape[1:]} and boundaries {edge.shape} differ in size: resize the maps")
    with flushed_denormals():
        matrix, sums = transition(edge, radius, beta)
        x = (cam * (1 - edge)).reshape(len(cam), edge.size).astype(np.float64)
        if torch.device(device).type != "cpu":
            walked = _steps_on(device, matrix, sums, x, 2**exp_times)
        elif len(x) <= FEW:
            walked = [_steps(matrix, sums, row, 2**exp_times) for row in x]
        else:
            walked = _steps(matrix, sums[:, None], np.ascontiguousarray(x.T), 2**exp_times).T
        return np.asarray(walked, np.float32).reshape(cam.shape)


def _steps(matrix, sums, x, count):
    """COUNT steps from x [h w] or [h w, K]; the matrix is symmetric: matrix @ x is x T in rows."""
    scale = 1 / sums
    for _ in range(count):
        x = matrix @ x
        x *= scale
    return x


def _steps_on(device, matrix, sums, x, count):
    """COUNT steps from x [K, h w], all maps at once. Every row of the matrix has as many entries: a step is the
    weighted sum of as many rows of x, which torch has as one kernel."""
    columns = torch.from_numpy(matrix.indices.reshape(len(sums), -1)).to(device)
    values = torch.from_numpy(matrix.data.reshape(columns.shape) / sums[:, None]).to(device)
    x = torch.from_numpy(np.ascontiguousarray(x.T)).to(device)
    with torch.no_grad():
        for _ in range(count):
            x = F.embedding_bag(columns, x, per_sample_weights=values, mode="sum")
    return x.T.cpu().numpy()
