"""All thresholds of a background score in one pass: scores in 256 steps, counted jointly with truth and winner."""

import numpy as np

from wsnb import metrics

LEVELS = 256


class Sweep:
    """counts[truth, winning class, level] over pictures; memory does not grow with them.

    A picture's label at threshold t is the class whose map wins if its value exceeds t, else background. t = k / 256
    is exact, because a level holds the values in (k / 256, (k + 1) / 256]. FIXED is one more threshold, of any value.
    """

    def __init__(self, n_classes, fixed=0.0):
        self.n_classes, self.fixed = n_classes, fixed
        self.fixed_table = np.zeros((n_classes, n_classes), np.int64)
        self.counts = np.zeros((n_classes, n_classes, LEVELS), np.int64)

    def add(self, truth, keys, maps):
        """Count a picture: truth uint8 [H, W] (>= n_classes ignored), keys [K] classes 1.., maps [K, H, W] in [0, 1].

        Raises ValueError for maps that are not finite, or of another size.
        """
        maps = np.asarray(maps, np.float32)
        if maps.shape[1:] != truth.shape:
            raise ValueError(f"maps {maps.shape[1:]} and truth {truth.shape} differ in size: enlarge the maps")
        if not len(maps):
            maps, keys = np.zeros((1, *truth.shape), np.float32), [0]
        winner, top = np.asarray(keys, np.int64)[maps.argmax(0)], maps.max(0)
        if not np.isfinite(top).all():
            raise ValueError("a class map holds NaN or Inf; look where it comes from")
        if self.fixed:
            label = np.where(top > np.float32(self.fixed), winner, 0).astype(np.uint8)
            self.fixed_table += metrics.confusion(truth, label, self.n_classes)
        level = np.clip(np.ceil(top * LEVELS).astype(np.int64) - 1, -1, LEVELS - 1)
        winner, level = np.where(level < 0, 0, winner), np.maximum(level, 0)  # 0 exceeds no threshold
        counted = truth < self.n_classes
        place = (truth[counted].astype(np.int64) * self.n_classes + winner[counted]) * LEVELS + level[counted]
        flat = self.counts.reshape(-1)
        if flat.size < 1 << 20:
            flat += np.bincount(place, minlength=flat.size)
        else:  # of 200 classes a picture fills a few places only
            places, numbers = np.unique(place, return_counts=True)
            flat[places] += numbers

    def confusion(self, level) -> np.ndarray:
        """Confusion matrix int64 [C, C] at the threshold LEVEL / 256."""
        table = self.counts[:, :, level:].sum(2)
        table[:, 0] += self.counts[:, :, :level].sum((1, 2))
        return table

    def at(self, threshold) -> np.ndarray:
        """Confusion matrix int64 [C, C] at THRESHOLD: the fixed one or k / 256. Raises ValueError for another."""
        if threshold and threshold == self.fixed:
            return self.fixed_table
        if threshold * LEVELS != int(threshold * LEVELS):
            raise ValueError(f"threshold {threshold}: counted are {self.fixed} and the multiples of 1 / {LEVELS}")
        return self.confusion(int(threshold * LEVELS))

    def curve(self):
        """(thresholds [256], mean IoU [256] in [0, 1]) of all levels; NaN where nothing was counted.

        From sums per class and level, without the confusion matrix of each level.
        """
        hit = np.einsum("ccl->cl", self.counts)[:, ::-1].cumsum(1)[:, ::-1]  # winner right and above: [C, 256]
        found = self.counts.sum(0)[:, ::-1].cumsum(1)[:, ::-1]
        true, background = self.counts.sum((1, 2)), self.counts[0].sum(0)
        hit[0] += background.cumsum() - background  # below the level all is background, whichever class won
        found[0] += true.sum() - found.sum(0)
        with np.errstate(invalid="ignore", divide="ignore"):
            iou = hit / (true[:, None] + found - hit)
        occurs = np.isfinite(iou)
        mean = np.where(occurs, iou, 0).sum(0) / np.where(occurs.any(0), occurs.sum(0), np.nan)
        return np.arange(LEVELS) / LEVELS, mean

    def best(self) -> int:
        """The level with the highest mean IoU, the lowest of several."""
        _, values = self.curve()
        return int(np.nanargmax(values)) if np.isfinite(values).any() else LEVELS // 4
