"""Instances from IRNet's displacements: every pixel walks to its centroid, nearby centroids are one instance (Ahn et
al., CVPR 2019, section 4.2)."""

import cv2
import numpy as np


def centroids(displacement, steps=300) -> np.ndarray:
    """Find where each pixel arrives after STEPS moves: displacement float [2, H, W] (dy, dx) -> int32 [2, H, W].

    At every step the displacement is read bilinearly at the present place; places are clipped to the map and finally
    rounded.
    """
    displacement = np.asarray(displacement, np.float32)
    height, width = displacement.shape[1:]
    place = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij")).astype(np.float32)
    limit = np.array([height - 1, width - 1], np.float32)[:, None, None]
    for _ in range(steps):
        (top, left), (bottom, right) = np.floor(place).astype(np.int32), np.ceil(place).astype(np.int32)
        down, along = place[0] - top, place[1] - left
        move = (displacement[:, bottom, right] * down * along + displacement[:, bottom, left] * down * (1 - along)
                + displacement[:, top, right] * (1 - down) * along
                + displacement[:, top, left] * (1 - down) * (1 - along))
        place = np.clip(place + move, 0, limit)
    return np.round(place).astype(np.int32)


def clusters(found, displacement, threshold=2.5) -> np.ndarray:
    """Number the groups, 0..n - 1 int32 [H, W], of pixels whose centroids FOUND lie in one still region.

    Still regions are 4-connected where displacements are shorter than THRESHOLD pixels. Pixels that arrive outside of
    all of them form group 0, if there are any.
    """
    still = np.hypot(displacement[0], displacement[1]) < threshold
    _, regions = cv2.connectedComponents(still.astype(np.uint8), connectivity=4)
    regions = in_reading_order(regions)
    arrived = regions[found[0], found[1]]
    return np.searchsorted(np.unique(arrived), arrived).astype(np.int32)


def in_reading_order(regions):
    """Renumber components 1.. in the order in which rows meet them; 0 stays."""
    numbers, first = np.unique(regions, return_index=True)
    order = np.argsort(first[numbers > 0])
    renumbered = np.zeros(regions.max() + 1, np.int32)
    renumbered[numbers[numbers > 0][order]] = np.arange(1, (numbers > 0).sum() + 1)
    return renumbered[regions]


def one_hot(numbers) -> np.ndarray:
    """Turn int [H, W] in 0..n - 1 -> uint8 [n, H, W]."""
    return (np.arange(int(numbers.max()) + 1)[:, None, None] == numbers).astype(np.uint8)


def split_by_cluster(cam, numbers):
    """Cut class maps [K, h, w] along the clusters: maps [K * n, h, w], class index [K * n] of each, empty ones left
    out."""
    groups = one_hot(numbers).astype(np.float32)
    maps, owner = [], []
    for k, one in enumerate(cam):
        for group in groups:
            part = one * group
            if part.max() > 0:
                maps.append(part)
                owner.append(k)
    return np.array(maps, np.float32).reshape(-1, *cam.shape[1:]), np.array(owner, np.int64)


def instances(walked, owner, keys, background=0.25, smallest=0.01):
    """Make instance masks from walked maps [N, H, W] >= 0 at the picture's size, as `split_by_cluster` numbered them.

    Each pixel goes to the strongest map above BACKGROUND (of the picture's maximum); a map's pixels fall apart into
    connected components, each a detection (class, score, bool [H, W]) with the map's maximum there as score; fragments
    under SMALLEST of the picture score 0.
    """
    if not len(walked) or walked.max() <= 0:
        return []
    scaled = walked / walked.max()
    winner = np.concatenate([np.full((1, *walked.shape[1:]), background, np.float32), scaled]).argmax(0)
    found = []
    for k in np.unique(winner[winner > 0]):
        count, parts = cv2.connectedComponents((winner == k).astype(np.uint8), connectivity=4)
        for number in range(1, count):
            region = parts == number
            score = float(scaled[k - 1][region].max()) if region.mean() >= smallest else 0.0
            found.append((int(keys[owner[k - 1]]), score, region))
    return found
