"""The dynamically instantiated instance network (Arnab and Torr, CVPR 2017): one label a detection.

A picture with N detections has N labels; which class label k has, the detection says. The unary term asks the
segmentation Q about the detection's class l_k with the detection's score s_k:

    box term     psi_B(k) = s_k Q(l_k) inside box k, else 0
    global term  psi_G(k) = Q(l_k) everywhere
    U(k)         = -ln(w_B psi_B(k) + w_G psi_G(k))

Stuff and the background are detections too, certain and as large as the picture. The scalars w_B and w_G are learned;
only their ratio changes a label. The shape term of the CVPR paper is not used in the panoptic paper's program.
"""

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment

from wsnb.metrics.panoptic import numbers

UNMATCHED = 1 << 20  # beyond any label
FLOOR = 1e-5  # smallest share of the largest value: keeps the logarithm finite


def box_term(probabilities, found) -> np.ndarray:
    """psi_B float32 [N, H, W]: score times probability of the class inside the box, 0 outside.

    probabilities float [C, H, W]; found: `detections.Detections` with boxes in whole pixels.
    """
    result = np.zeros((len(found), *probabilities.shape[1:]), np.float32)
    for k, (label, box) in enumerate(zip(found.classes, found.boxes.astype(int), strict=True)):
        x0, y0, x1, y1 = np.maximum(box, 0)
        result[k, y0:y1, x0:x1] = found.scores[k] * probabilities[label, y0:y1, x0:x1]
    return result


def global_term(probabilities, found) -> np.ndarray:
    """psi_G float32 [N, H, W]: probability of the detection's class at every pixel."""
    return np.asarray(probabilities, np.float32)[found.classes]


def evidence(probabilities, found, box_weight=1.0, global_weight=1.0) -> np.ndarray:
    """(w_B psi_B + w_G psi_G) / (w_B + w_G), float32 [N, H, W] in [0, 1]: exp(-U) but for a factor that all labels of
    all pixels share. Raises ValueError for weights below 0 or both 0."""
    if min(box_weight, global_weight) < 0 or box_weight + global_weight == 0:
        raise ValueError(f"weights {box_weight} and {global_weight}: both >= 0, one of them above")
    total = box_term(probabilities, found)
    total *= box_weight / (box_weight + global_weight)
    total += global_term(probabilities, found) * (global_weight / (box_weight + global_weight))
    return total


def instance_map(winner, probabilities, found, not_instances=()):
    """The id map of a labelling: (ids uint16 [H, W], classes, scores of the ids ascending).

    winner integers [H, W]: the label of each pixel, an index into FOUND. Detections without a pixel vanish; the rest
    are numbered 1, 2, ... in their order, passing over 255. Labels whose class is in NOT_INSTANCES (VOC's background)
    become 0. A score is the mean probability of the class over the instance's own pixels.
    """
    pixels = np.bincount(winner.ravel(), minlength=len(found))
    kept = [k for k in np.flatnonzero(pixels) if found.classes[k] not in set(not_instances)]
    table, classes, scores = np.zeros(len(pixels), np.uint16), [], []
    for k, number in zip(kept, numbers(len(kept)), strict=True):
        table[k] = number
        classes.append(int(found.classes[k]))
        scores.append(float(probabilities[found.classes[k]][winner == k].mean(dtype=np.float64)))
    return table[winner], classes, scores


def matched(truth, true_classes, prediction, classes):
    """Matching of predicted labels to true instances: list of (row of the truth, label), each used once at most.

    truth bool [M, H, W]; true_classes [M]; prediction integers [H, W]: the label at each pixel; classes [N] of the
    labels. Pairs have one class, an IoU above 0, and their sum of IoU is the largest (bipartite; CVPR 2017, 3.4).
    """
    common = np.array([np.bincount(prediction[own], minlength=len(classes)) for own in truth], float)
    common = common.reshape(len(truth), len(classes))
    union = truth.sum((1, 2))[:, None] + np.bincount(prediction.ravel(), minlength=len(classes))[None] - common
    value = np.where(np.equal.outer(np.asarray(true_classes), np.asarray(classes)), common / np.maximum(union, 1), 0)
    rows, columns = linear_sum_assignment(-value)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if value[r, c] > 0]


def matching_loss(logits, truth, true_classes, classes) -> torch.Tensor:
    """Cross-entropy against the true instances, each renamed to the label that fits it best.

    logits [N, H, W] (log of the labels' probabilities, up to a constant); truth bool [M, H, W] without overlaps. Pixels
    of instances without a partner, and of no instance, are left out; 0 with a gradient of zeros if none is left.
    """
    target = torch.full(logits.shape[1:], UNMATCHED, dtype=torch.long)
    for row, label in matched(np.asarray(truth), true_classes, logits.detach().argmax(0).cpu().numpy(), classes):
        target[torch.as_tensor(np.asarray(truth)[row])] = label
    total = F.cross_entropy(logits[None], target[None].to(logits.device), ignore_index=UNMATCHED, reduction="sum")
    return total / (target != UNMATCHED).sum().clamp(min=1)


def fit_weights(samples, steps=30, lr=0.1, start=(1.0, 1.0)):
    """Learn w_B and w_G by the matching loss of the unaries alone, without the CRF: (w_B, w_G, loss of each step).

    samples: list of (probabilities [C, H, W], Detections, truth bool [M, H, W], true_classes). Adam on the logarithm of
    the ratio, so that both stay above 0; their sum is kept. Raises ValueError without samples.
    """
    if not samples:
        raise ValueError("no samples: give at least one training picture with instances")
    ratio = torch.tensor(float(np.log(start[0] / start[1])), requires_grad=True)
    optimiser, history = torch.optim.Adam([ratio], lr=lr), []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = torch.stack([_loss(ratio, *sample) for sample in samples]).mean()
        loss.backward()
        optimiser.step()
        history.append(float(loss.detach()))
    share = float(torch.sigmoid(ratio.detach()))
    return share * sum(start), (1 - share) * sum(start), history


def _loss(ratio, probabilities, found, truth, true_classes):
    inside = torch.from_numpy(box_term(probabilities, found))
    anywhere = torch.from_numpy(np.ascontiguousarray(global_term(probabilities, found)))
    total = torch.sigmoid(ratio) * inside + torch.sigmoid(-ratio) * anywhere
    return matching_loss(total.clamp(min=FLOOR).log(), truth, true_classes, found.classes)
