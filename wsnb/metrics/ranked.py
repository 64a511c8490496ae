"""Average precision of ranked detections, kept so that its pictures can be drawn again.

It does not add over pictures: a detection's place depends on those of all others. Kept is uint32 [N, C, T, 1 + M] of N
pictures, C classes and T thresholds of IoU: the number of true masks, then for each detection twice its rank over all
pictures (1 is the best; equal ranks enter together), plus 1 if it is right, and 0 where there is none. A picture that
is drawn twice enters as one of double weight.
"""

import numpy as np

AT_ONCE = 2**16  # numbers of one kind in a processor's cache


def together(scores) -> np.ndarray:
    """Rank SCORES [D] from 0, the highest first; equal scores share a rank."""
    return np.unique(-scores, return_inverse=True)[1]


def first_come(scores) -> np.ndarray:
    """Rank SCORES [D] from 0, the highest first; of equal ones the first."""
    return np.argsort(np.argsort(-scores, kind="stable"))


def last_come(scores) -> np.ndarray:
    """Rank SCORES [D] from 0, the highest first; of equal ones the last."""
    return np.argsort(np.argsort(scores, kind="stable")[::-1])


def kept(found, n_true, ranks) -> np.ndarray:
    """Keep what the average precision is made of: int64 [N, C, T, 1 + M], see the module.

    found: [N][C][T] pairs (scores [D], whether each is right [D]); n_true [N, C]; RANKS: one of the three above, on the
    scores of all pictures.
    """
    n_true = np.asarray(n_true, np.int64)
    thresholds = len(found[0][0]) if n_true.size else 1
    most = max((len(scores) for classes in found for one in classes for scores, _ in one), default=0)
    made = np.zeros((*n_true.shape, thresholds, 1 + most), np.int64)
    made[..., 0] = n_true[..., None]
    for c, t in np.ndindex(made.shape[1:3]) if len(found) else ():
        pairs = [classes[c][t] for classes in found]
        scores = np.concatenate([np.asarray(scores, float) for scores, _ in pairs])
        codes = 2 * (1 + ranks(scores)) + np.concatenate([np.asarray(right, bool) for _, right in pairs])
        ends = np.cumsum([len(scores) for scores, _ in pairs])
        for picture, own in zip(made, np.split(codes, ends[:-1]), strict=True):
            picture[c, t, 1 : 1 + len(own)] = own
    return made


def scores(tables, area, weights) -> np.ndarray:
    """Average in [0, 1] over thresholds and classes the AREA of the curves of TABLES, of `kept`, whose pictures are
    taken as often as WEIGHTS [R, N] says: float64 [R]. Classes without a true mask are left out; NaN if all are."""
    tables, weights = np.asarray(tables, np.int64), np.asarray(weights)
    values = np.full((len(weights), *tables.shape[1:3]), np.nan)
    for c, t in np.ndindex(tables.shape[1:3]):
        codes = tables[:, c, t, 1:]
        picture, place = np.nonzero(codes)
        codes = codes[picture, place]
        order = np.argsort(codes // 2, kind="stable")
        picture, codes = picture[order], codes[order]
        last = np.flatnonzero(np.diff(codes // 2, append=0))  # of each group of equal ranks
        parts = 1 + len(weights) * len(codes) // AT_ONCE
        found = [_areas(one.T, picture, codes % 2 > 0, last, one @ tables[:, c, t, 0], area)
                 for one in np.array_split(weights, parts)]
        values[:, c, t] = np.concatenate(found)
    known = np.isfinite(values).all(2)
    mean = np.where(known, values.mean(2), 0.0)
    return np.divide(mean.sum(1), known.sum(1), out=np.full(len(mean), np.nan), where=known.any(1))


def _areas(weights, picture, right, last, n_true, area):
    """The AREA of one class at one threshold for each column of WEIGHTS [N, R]; NaN where no true mask is drawn."""
    drawn = np.ascontiguousarray(weights)[picture]
    seen, hits = drawn.cumsum(0)[last], (drawn * right[:, None]).cumsum(0)[last]
    terms = area(hits / np.maximum(seen, 1), hits / np.maximum(n_true, 1), seen)
    return np.where(n_true > 0, np.ascontiguousarray(terms.T).sum(1), np.nan)


def interpolated(precision, recall, seen):
    """The area under precision [K, R], made monotone from the right, over recall, as K terms (VOC since 2010, AP^r)."""
    best = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    return np.diff(recall, axis=0, prepend=0.0) * best


def stepwise(precision, recall, seen):
    """The mean precision [K, R] at the right detections, over the true masks, as K terms (AP^r of the panoptic paper).
    """
    return np.diff(recall, axis=0, prepend=0.0) * precision


def centred(precision, recall, seen):
    """The area under precision [K, R] over recall, whose steps are centred on the measured points, from precision 1 at
    recall 0, as K + 1 terms (Cityscapes)."""
    start = np.zeros((1, recall.shape[1]))
    precision = np.concatenate([start + 1, np.where(seen > 0, precision, 1.0)])
    recall = np.concatenate([start, start, recall])
    recall = np.concatenate([recall, recall[-1:]])
    return precision * (recall[2:] - recall[:-2]) / 2
