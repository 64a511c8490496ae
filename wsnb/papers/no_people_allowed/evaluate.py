"""The challenge's scores, and the quality of labels after each step: rows with their protocols, the rungs of the
ladder, what each step gains."""

import cv2
import numpy as np

from wsnb import files, metrics
from wsnb.ops.label_maps import BACKBONES, by_id, counted, miou_row


def segmentation_scores(table) -> dict[str, float]:
    """Score a confusion [C, C] or [N, C, C], all in [0, 1]: mIoU (mean over the classes that occur), mean accuracy
    (mean recall of the classes that are true somewhere), pixel accuracy, frequency-weighted IoU."""
    each = metrics.scores(table)
    table = metrics.total(table).astype(float)
    share = table.sum(1) / max(table.sum(), 1)
    present = share > 0
    return {
        "mIoU": metrics.mean_iou(table),
        "mean accuracy": float(each["recall"][present].mean()) if present.any() else float("nan"),
        "pixel accuracy": metrics.pixel_accuracy(table),
        "frequency-weighted IoU": float((share[present] * each["iou"][present]).sum()),
    }


def plain_mean_iou(table) -> float:
    """Compute the original's validation figure: NaN as soon as a class occurs in neither map."""
    return float(metrics.scores(table)["iou"].mean())


def object_scores(table) -> dict[str, float]:
    """Score the classes but the background of a confusion [C, C] or [N, C, C], all in [0, 1]: the share of the area
    that is called so, the share of that area whose class is right, the share of their true pixels that are found.
    NaN: no such pixel."""
    table = metrics.total(table).astype(float)
    hit, called, true = np.diag(table)[1:].sum(), table[:, 1:].sum(), table[1:].sum()
    with np.errstate(invalid="ignore"):
        return {"called object": float(np.divide(called, table.sum())), "right": float(np.divide(hit, called)),
                "found": float(np.divide(hit, true))}


def tag_scores(logits, tags, threshold=0.5) -> dict:
    """Score tags [N, C] by LOGITS: `hamming` compares the raw logits with THRESHOLD (a quirk), `accuracy` and `f1`
    (mean over classes; NaN for a class that is neither true nor found) the probabilities."""
    logits, true = np.asarray(logits, float), np.asarray(tags) > 0
    found = 1 / (1 + np.exp(-logits)) > threshold
    hit = (found & true).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = 2 * hit / (found.sum(0) + true.sum(0))
    return {
        "hamming": float(((logits > threshold) != true).mean()),
        "accuracy": float((found == true).mean()),
        "f1": float(f1.mean()),
        "f1_per_class": f1,
    }


NAMES = {**BACKBONES, "vgg16_bn": "VGG16-BN"}
FLOOR = "all background"
RUNGS = {"CAM": "CAM", "CAM + CRF": "CAM + CRF", "confident labels": "confident labels",
         "semantic pseudo label": "walk", "semantic pseudo label, masks": "pseudo masks"}


def label_protocol(params_cam, params_classifier, dataset, ids, id_hash, weights, split="") -> dict:
    """Give the protocol fields that all labels of the training pictures share.

    params_cam, params_classifier: parameters of 02 and 01; ids: of the pictures that are scored; id_hash: their
    `split_hash`.
    """
    p = params_cam
    shape = f"{p.picture_side} squared" if p.picture_side else f"own shape times {p.picture_scale:g}"
    return {
        "dataset": dataset, "dataset_size": len(ids), "split": split or labels_split(p), "split_hash": id_hash,
        "image_labels": "ground truth" if p.tags_from == "image tags" else "predicted",
        "scales": list(p.cam_scales), "flip": True, "resolution": f"{shape}, scored at the picture's size",
        "weights": weights, "supervision": "image labels", "backbone": NAMES[params_classifier.backbone],
        "aggregation": "data set", "ignore_label": 255, "label_source": "weak",
    }


def protocol(shared, method, preset, threshold, tuned_on="", crf="") -> dict:
    """Give a row's protocol: SHARED fields and its own. tuned_on: the pictures that chose the threshold."""
    return {**shared, "method": method, "preset": preset, "threshold": threshold, "crf": crf,
            "threshold_split": tuned_on or "none: a fixed value"}


def labels_split(params_cam) -> str:
    """Name the pictures whose labels are scored."""
    return params_cam.score_split or params_cam.train_split


def tuned_on(params_cam, tune_every) -> str:
    """Say which pictures chose the thresholds."""
    split = labels_split(params_cam)
    return f"every {tune_every}th picture of {split}" if tune_every > 1 else split


def annotations(items, scored, classes, tune_every) -> dict:
    """Count what a person had to give for the labels of ITEMS: {"pictures", "tags" (decisions), "masks"}; the masks are
    those of the SCORED pictures that chose the thresholds."""
    return {"pictures": len(items), "tags": len(items) * (len(classes) - 1), "masks": len(scored[::tune_every])}


def notes_of(folder) -> dict:
    """Read the notes that a finished stage left beside its results."""
    return files.load_json(folder / "results.json")["notes"]


def row(table, shared, classes, step) -> dict:
    """Give mIoU in % with its classes, as a rung of the ladder; STEP names what is scored."""
    return {**miou_row(table, shared, classes), "role": "ladder", "step": f"{step}, {shared['split']}"}


def label_row(method, table, shared, preset, classes, threshold, tuned_on="", crf="", step="") -> dict:
    """Give the `row` of labels of the training pictures with its protocol; STEP: else the METHOD's name."""
    own = protocol(shared, method, preset, threshold, tuned_on, crf)
    return row(table, own, classes, step or f"{method}, {preset}")


def confusions(items, truth_of, folders, n_classes) -> dict:
    """Count {title: confusions uint32 [N, C, C]} of label maps of any size, enlarged to the truth by the nearest pixel;
    255 counts as background. Pictures are in the order of their ids.

    A missing map raises FileError.
    """
    tables = {title: {} for title in folders}
    for item in items:
        truth = truth_of(item)
        for title, folder in folders.items():
            found = files.read_index(folder / f"{item.id}.png")
            found = cv2.resize(found, truth.shape[::-1], interpolation=cv2.INTER_NEAREST)
            found = np.where(found == 255, 0, found).astype(np.uint8)
            tables[title][item.id] = metrics.confusion(truth, found, n_classes).astype(np.uint32)
    return {title: by_id(found, n_classes) for title, found in tables.items()}


def rungs(results, tables) -> dict:
    """Collect {step: mIoU in %}: the labels of the training pictures after each step.

    results: the result rows of 03 and 05; tables: confusion matrices {"segmentation": .., FLOOR: ..} on these pictures,
    or {} where none can be scored; then all values are None. Of several rows of one step that with the tuned threshold
    counts.
    """
    floor, ending = (100 * metrics.mean_iou(tables[name]) if tables else None for name in (FLOOR, "segmentation"))
    return {FLOOR: floor, **{rung: _value(results, method) for method, rung in RUNGS.items()}, "segmentation": ending}


def _value(results, method):
    """mIoU of a method's row; the tuned one if there are two."""
    rows = [r for r in results if r["protocol"]["method"] == method]
    tuned = [r for r in rows if not r["protocol"]["threshold_split"].startswith("none")]
    return (tuned or rows)[-1]["value"] if rows else None


def gains(found) -> list[str]:
    """Say how much each step gains over the step that it starts from. The CRF and the walk start from the class maps,
    the pseudo masks from the walk, the segmenter from the masks; confident labels only teach IRNet. The walk is held
    against the CRF too, the cheaper way to the picture's edges."""
    lines = []
    main = [rung for rung in found if rung not in ("confident labels", "CAM + CRF")]
    for before, after in [*zip(main, main[1:], strict=False), ("CAM", "CAM + CRF"), ("CAM + CRF", "walk")]:
        old, new = found[before], found[after]
        if old is not None and new is not None:
            verdict = "gains" if new > old else "does NOT gain"
            lines.append(f"{after} {verdict}: {old:.1f} -> {new:.1f} % mIoU over {before}")
    return lines


def final_rows(tables, shared, preset, params_inference, method, classes) -> list[dict]:
    """Give the rows of 08: mIoU, mean accuracy and pixel accuracy on new pictures, and the floor. tables: confusion
    matrices {"segmentation": .., FLOOR: ..}."""
    p = params_inference
    own = {**shared, "method": method, "preset": preset, "image_labels": "none", "scales": list(p.test_scales),
           "flip": True, "resolution": resolution(p.test_style), "threshold": "", "threshold_split": ""}
    values = segmentation_scores(tables["segmentation"])
    bound = {**shared, "method": FLOOR, "supervision": "none", "image_labels": "none", "scales": [], "flip": False,
             "backbone": "", "weights": "", "resolution": "", "preset": "faithful"}
    return [miou_row(tables["segmentation"], own, classes),
            *({"name": key, "value": 100 * values[key], "unit": "%", "protocol": own, "detail": {},
               **counted(tables["segmentation"], key)}
              for key in ("mean accuracy", "pixel accuracy")),
            {**miou_row(tables[FLOOR], bound, classes), "role": "bound"}]


def resolution(style) -> str:
    """Say how pictures are scaled at test."""
    return {"nearest": "squared, nearest scaling, mean of logits", "smooth": "squared, bilinear, mean of probabilities",
            "own shape": "own shape, bilinear, mean of probabilities"}[style]


def last_rung(table, shared, preset, params_inference, method, classes) -> dict:
    """Give the row of 08 on the training pictures: the segmenter's labels, the end of the ladder."""
    p = params_inference
    own = {**shared, "method": f"{method}, training pictures", "preset": preset, "image_labels": "none",
           "scales": list(p.ladder_scales), "flip": True, "resolution": resolution(p.test_style)}
    return row(table, own, classes, f"segmentation, {preset}")
