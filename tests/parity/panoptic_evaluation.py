"""Parity of the panoptic evaluator with the authors' own (anuragarnab/dynamically-instantiated-network)."""

from dataclasses import replace

import numpy as np

from tests.parity.compare import absolute, exact, load
from wsnb.metrics import panoptic_authors as evaluator


def _eval_synth(path):
    d = load(path)
    classes = list(range(1, len(d["pq"]) + 1))
    overlaps = evaluator.Overlaps.of(classes)
    for name in sorted(key.removesuffix("_gt_inst") for key in d if key.endswith("_gt_inst")):
        overlaps.add(*(d[f"{name}_{part}"] for part in ("gt_inst", "gt_sem", "pred", "pred_class", "pred_score")))
    thresholds = d["iou_threshes"].ravel().tolist()
    quality = [evaluator.quality(overlaps, t) for t in thresholds]
    found = {name: np.stack([q[name.upper()] for q in quality], 1) for name in ("pq", "sq", "dq")}
    found["mAPs"] = evaluator.average_precision(overlaps, thresholds)
    found["oracle_mAPs"] = evaluator.average_precision(replace(overlaps, score=overlaps.overlap), thresholds)
    checks = [absolute(name, value, d[name], 1e-12) for name, value in found.items()]
    for c in classes:
        checks += [
            exact(f"class{c} n_gt", [overlaps.n_truth[c]], d[f"class{c}_n_gt"].ravel()),
            absolute(f"class{c} overlaps", overlaps.overlap[c], d[f"class{c}_overlaps"].ravel(), 1e-12),
            exact(f"class{c} scores", overlaps.score[c], d[f"class{c}_scores"].ravel()),
        ]
    return checks


HANDLERS = {"eval_synth": _eval_synth}
