"""Segment proposals in the manner of MCG: regions of a hierarchy, alone, in pairs and in triples; the best for a box.

Multiscale combinatorial grouping (Arbelaez et al., CVPR 2014) proposes unions of up to four regions of a hierarchy,
ranked by a trained forest. Here the box is known; no ranking is learned: of all candidates the one with the highest
overlap with the box is taken, as Khoreva et al. do (Simple Does It, CVPR 2017, "MCG"). Official MCG results can be read
instead (`read_mcg`).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsnb.data import mat
from wsnb.files import FileError
from wsnb.ops.hierarchies import Hierarchy


@dataclass(frozen=True)
class Candidates:
    """Unions of small regions.

    leaves   int32 [H, W], the small region of every pixel, 0..L-1
    members  bool [P, L], which of them each candidate holds
    boxes    int64 [P, 4], tight: x0, y0, x1, y1, half-open
    areas    int64 [P], pixels
    """

    leaves: np.ndarray
    members: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray

    def mask(self, index: int) -> np.ndarray:
        """Candidate INDEX as bool [H, W]."""
        return self.members[index][self.leaves]


def nodes(hierarchy: Hierarchy) -> Candidates:
    """Take every region of the tree as a candidate."""
    import higra as hg

    tree, leaves = hierarchy.tree, hierarchy.leaves
    basins = tree.num_leaves()
    boxes = leaf_boxes(leaves, basins)
    low = hg.accumulate_sequential(tree, boxes[:, :2].copy(), hg.Accumulators.min)
    high = hg.accumulate_sequential(tree, boxes[:, 2:].copy(), hg.Accumulators.max)
    areas = hg.accumulate_sequential(tree, np.bincount(leaves.ravel(), minlength=basins), hg.Accumulators.sum)
    members = hg.accumulate_sequential(tree, np.eye(basins, dtype=np.uint8), hg.Accumulators.max)
    return Candidates(leaves, members.view(bool), np.concatenate([low, high], axis=1), areas.astype(np.int64))


def leaf_boxes(leaves, count: int) -> np.ndarray:
    """The tight box of every label 0..COUNT-1 of a map [H, W]: int64 [COUNT, 4]; labels that are absent get
    (H + W, H + W, 0, 0), which widens nothing."""
    far = sum(leaves.shape)
    boxes = np.tile(np.array([far, far, 0, 0], np.int64), (count, 1))
    rows, columns = np.indices(leaves.shape)
    flat = leaves.ravel()
    np.minimum.at(boxes[:, 0], flat, columns.ravel())
    np.minimum.at(boxes[:, 1], flat, rows.ravel())
    np.maximum.at(boxes[:, 2], flat, columns.ravel() + 1)
    np.maximum.at(boxes[:, 3], flat, rows.ravel() + 1)
    return boxes


def box_iou(boxes, box) -> np.ndarray:
    """IoU [N] of boxes [N, 4] with one box [4], half-open."""
    boxes, box = np.asarray(boxes, float).reshape(-1, 4), np.asarray(box, float)
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    common = np.clip(high - low, 0, None).prod(1)
    areas = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(1)
    union = areas + np.clip(box[2:] - box[:2], 0, None).prod() - common
    return np.divide(common, union, out=np.zeros(len(boxes)), where=union > 0)


def best_for_box(candidates, box, parts: int = 3, clip: bool = True, kept: int = 60) -> np.ndarray:
    """The proposal that fits BOX (x0, y0, x1, y1, half-open) best: bool [H, W].

    candidates: a Hierarchy, `nodes` of one (made once, if there are several boxes), or `read_mcg`'s. PARTS: up to so
    many disjoint regions (1 to 3) may be joined; MCG joins up to four, and its files hold the unions already; take 1
    there. CLIP takes away the part outside the box (the paper's cue C1: outside all boxes is background). The overlap
    is

        IoU(tight box of the proposal, BOX) + IoU(proposal, filled BOX) - share of the proposal outside BOX

    and only the KEPT best regions are joined. Neither IoU alone serves for both: the first takes thin frames, the
    second likes the box itself best of all. A box without a pixel in the picture gives an empty mask.
    """
    if isinstance(candidates, Hierarchy):
        candidates = nodes(candidates)
    leaves, (height, width) = candidates.leaves, candidates.leaves.shape
    x0, y0, x1, y1 = (int(v) for v in box)
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    if x0 >= x1 or y0 >= y1:
        return np.zeros((height, width), bool)
    in_leaf = np.bincount(leaves[y0:y1, x0:x1].ravel(), minlength=candidates.members.shape[1]).astype(np.float32)
    fit = _Fit(candidates, (x0, y0, x1, y1), candidates.members @ in_leaf)
    chosen = fit.best(parts, kept)
    found = candidates.members[chosen].any(0)[leaves]
    if clip:
        found = found & _filled(found.shape, (x0, y0, x1, y1))
    return found


def _filled(shape, box) -> np.ndarray:
    x0, y0, x1, y1 = box
    mask = np.zeros(shape, bool)
    mask[y0:y1, x0:x1] = True
    return mask


@dataclass(frozen=True)
class _Fit:
    """How well unions of candidates fit a box."""

    candidates: Candidates
    box: tuple
    inside: np.ndarray  # float [P], pixels of each candidate in the box

    def _scores(self, *groups) -> np.ndarray:
        """Overlap of the unions of groups[0][k], groups[1][k], ..., which are disjoint."""
        boxes = self.candidates.boxes
        tight = np.concatenate([np.minimum.reduce([boxes[g, :2] for g in groups]),
                                np.maximum.reduce([boxes[g, 2:] for g in groups])], axis=1)
        inside = sum(self.inside[g] for g in groups)
        area = sum(self.candidates.areas[g] for g in groups)
        size = (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])
        return box_iou(tight, self.box) + inside / (area + size - inside) - (1 - inside / area)

    def best(self, parts: int, kept: int) -> list[int]:
        """The best one, or pair, or triple; a bigger union must be better, not as good."""
        touched = np.flatnonzero(self.inside > 0)
        alone = self._scores(touched)
        order = touched[np.argsort(-alone, kind="stable")]
        best, chosen = alone.max(), [int(order[0])]
        size = (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])
        worth = (self.inside > 0.5 * self.candidates.areas) & (self.candidates.areas > 0.02 * size)
        pool = order[worth[order]][:kept]
        members = self.candidates.members[pool].astype(np.float32)
        apart = members @ members.T == 0
        first, second = np.nonzero(np.triu(apart))
        if parts < 2 or not len(first):
            return chosen
        pairs = self._scores(pool[first], pool[second])
        if pairs.max() > best:
            k = pairs.argmax()
            best, chosen = pairs[k], [int(pool[first[k]]), int(pool[second[k]])]
        if parts < 3:
            return chosen
        top = np.argsort(-pairs, kind="stable")[:100]
        first, second = first[top], second[top]
        pair, third = np.nonzero(apart[first] & apart[second])
        if len(pair):
            triples = self._scores(pool[first[pair]], pool[second[pair]], pool[third])
            if triples.max() > best:
                k = triples.argmax()
                chosen = [int(pool[i]) for i in (first[pair[k]], second[pair[k]], third[k])]
        return chosen


def _numbered(values) -> np.ndarray:
    """Return numbers of superpixels, int64. Raises ValueError or TypeError unless they are whole."""
    found = np.asarray(values)
    if found.dtype.kind not in "uif" or found.size and not (np.abs(found) < 2**31).all():  # nor is NaN
        raise ValueError
    whole = found.astype(np.int64)
    if (whole != found).any():
        raise ValueError
    return whole


def read_mcg(path) -> Candidates:
    """Candidates of an official MCG file ID.mat: `superpixels` [H, W] from 1, `labels` a cell of superpixel numbers a
    proposal, best ranked first. Raises FileError for another content.
    """
    if not Path(path).exists():
        raise FileError(f"{path}: no MCG proposals; fetch them, or give no folder of them")
    content = mat.load(path, ["superpixels", "labels"])
    try:
        leaves = _numbered(content["superpixels"]) - 1
        cells = [_numbered(cell).ravel() - 1 for cell in content["labels"].ravel()]
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise FileError(f"{path}: no superpixels and labels of MCG in it, whole numbers from 1; fetch it "
                        "again") from error
    leaves = leaves.astype(np.int32)
    count = int(leaves.max()) + 1 if leaves.size else 0
    if leaves.ndim != 2 or not 0 < count <= leaves.size or leaves.min() < 0 or not cells or any(
        not len(cell) or cell.min() < 0 or cell.max() >= count for cell in cells
    ):
        raise FileError(f"{path}: its labels name superpixels that are not there; fetch it again")
    members = np.zeros((len(cells), count), bool)
    for row, cell in zip(members, cells, strict=True):
        row[cell] = True
    each = leaf_boxes(leaves, count)
    boxes = np.array([[*each[row, :2].min(0), *each[row, 2:].max(0)] for row in members], np.int64)
    return Candidates(leaves, members, boxes, members @ np.bincount(leaves.ravel(), minlength=count))
