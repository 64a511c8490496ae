"""Label maps on disk: written one picture after another, resumable, in worker processes, and scored against the ground
truth with the rows of results that every paper reports."""

import math
from pathlib import Path

import numpy as np

from wsnb import metrics
from wsnb.files import FileError, read_index, save_png
from wsnb.ops import parallel
from wsnb.ops.crf import CRF, crf_labels

IGNORE = 255

BACKBONES = {
    "resnet38": "WideResNet38",
    "vgg16": "VGG16",
    "resnet50": "ResNet50",
    "resnet101": "ResNet101",
    "mobilenet_v2": "MobileNetV2",
    "resnet34": "ResNet34",
    "resnet50_full": "ResNet50",
    "resnet50_oaa": "ResNet50, OAA",
    "resnet_gap": "ResNet50 up to layer 3",
    "tiny": "tiny",
}  # as the papers' tables write them


def winners(image, scores, crf: CRF | None = None) -> list:
    """Choose the class with the highest score at every pixel; with a CRF, the labels after it follow in the list.

    image: uint8 [H, W, 3]; scores: float [C, H, W] of 0..1, float16 is enough.
    """
    scores = scores.astype(np.float32)
    return [scores.argmax(axis=0).astype(np.uint8), *([crf_labels(image, scores, crf)] if crf else [])]


def need_finite(scores, path) -> None:
    """Raise FileError, naming PATH, the file of or from these SCORES (an array or a tensor, of any shape), if some are
    NaN or Inf: their maximum would be a label all the same."""
    finite = scores.isfinite() if hasattr(scores, "isfinite") else np.isfinite(scores)
    if not finite.all():
        share = 100 * (1 - float(finite.sum()) / math.prod(finite.shape))
        raise FileError(f"{path}: {share:.3g} % of its scores are not finite; train again with a lower learning "
                        "rate, or look at the weights that were given")


def write_labels(function, items, folders, workers, prepare=None, palette=None):
    """Yield once for each item, as soon as its label maps stand in FOLDERS as ID.png.

    Files that are there are kept. FUNCTION(*PREPARE(item)) -> uint8 [H, W], or a list of them, one a folder; scores
    that PREPARE returns have to be finite (`need_finite`).
    FUNCTION runs in WORKERS processes, and is a module's own function or a functools.partial of one.
    PREPARE runs here, where the network is; without it FUNCTION gets the item. PALETTE uint8 [256, 3]: colours of the
    PNGs (VOC's).
    """
    folders = [Path(folder) for folder in folders]

    def jobs():
        for item in items:
            paths = [folder / f"{item.id}.png" for folder in folders]
            if all(path.exists() for path in paths):  # names only ever show whole files
                yield None
            else:
                yield function, paths, (item,) if prepare is None else prepare(item), palette

    module = getattr(function, "func", function).__module__
    yield from parallel.map_images(_write, jobs(), workers, preload=(module,))


def _write(job):
    if job is None:
        return
    function, paths, arguments, palette = job
    for one in arguments:
        if hasattr(one, "dtype"):
            need_finite(one, paths[0])
    found = function(*arguments)
    for path, labels in zip(paths, [found] if isinstance(found, np.ndarray) else found, strict=True):
        if not path.exists():
            save_png(path, labels, palette)


def crf_from(p, iterations: int | None = None, device="cpu") -> CRF:
    """Make the CRF of a stage's parameters, with ITERATIONS in place of theirs where given. DEVICE: torch's place."""
    return CRF(p.crf_iterations if iterations is None else iterations, p.crf_gaussian_sxy, p.crf_gaussian_compat,
               p.crf_bilateral_sxy, p.crf_bilateral_srgb, p.crf_bilateral_compat, p.crf_backend, device)


def crf_text(crf: CRF) -> str:
    """Describe the CRF's parameters for a protocol; empty without CRF."""
    if not crf.iterations:
        return ""
    by = ", torch" if crf.backend == "torch" else ""
    return (f"{crf.iterations} iterations, gaussian sxy {crf.gaussian_sxy:g} compat {crf.gaussian_compat:g}, bilateral "
            f"sxy {crf.bilateral_sxy:g} srgb {crf.bilateral_srgb:g} compat {crf.bilateral_compat:g}{by}")


def confusions(items, truth_of, folders, n_classes):
    """Score label maps by confusion matrices: ({name: uint32 [N, C, C]}, rows of one picture and name each).

    The N pictures are in the order of their ids, as `split_hash` takes them: results on the same pictures can be
    compared picture by picture. items: pictures (wrap them in stage.progress); truth_of(item) -> uint8 [H, W]; folders:
    {name: folder of index PNGs}; None as a folder stands for "all class 0". A missing map raises FileError: a skipped
    picture would raise the score.
    """
    found, rows = {name: {} for name in folders}, []
    for item in items:
        truth = truth_of(item)
        for name, folder in folders.items():
            labels = np.zeros_like(truth) if folder is None else read_index(folder / f"{item.id}.png")
            found[name][item.id] = one = metrics.confusion(truth, labels, n_classes).astype(np.uint32)
            rows.append({"id": item.id, "kind": name, "mIoU": metrics.mean_iou(one)})
    return {name: by_id(tables, n_classes) for name, tables in found.items()}, rows


def by_id(tables, n_classes) -> np.ndarray:
    """Put {id: confusion [C, D]} in the order of the ids: [N, C, D]; [0, C, C] without pictures."""
    empty = np.zeros((0, n_classes, n_classes), np.uint32)
    return np.stack([tables[name] for name in sorted(tables)]) if tables else empty


def with_unlabelled(items, truth_of, label_of, n_classes) -> np.ndarray:
    """Compare labels LABEL_OF(item) uint8 [H, W] with the ground truth: uint32 [N, C, C + 1], pictures by id.

    The last column counts the pixels that the labels leave open (255); all others are a confusion [C, C].
    """
    found = {}
    for item in items:
        label = label_of(item)
        label = np.where(label == IGNORE, n_classes, label).astype(np.uint8)
        found[item.id] = metrics.confusion(truth_of(item), label, n_classes + 1)[:n_classes].astype(np.uint32)
    return by_id(found, n_classes)


def known_share(tables) -> float:
    """Share of the pixels in [N, C, C + 1] of `with_unlabelled` that the labels call something; NaN without pixels."""
    pixels = tables.sum(dtype=np.int64)
    return float(tables[..., :-1].sum(dtype=np.int64) / pixels) if pixels else float("nan")


def need_truth(items, parameter, split, until) -> None:
    """Raise ValueError if some pictures of SPLIT, the value of PARAMETER, have no mask: scores of the others would pass
    for scores of all. UNTIL: the stage that writes their label maps."""
    missing = [item.id for item in items if item.mask is None]
    if missing:
        raise ValueError(f"{parameter} {split!r}: {len(missing)} of {len(items)} pictures have no mask (the first is "
                         f"{missing[0]}), and nothing can be scored; `--until {until}` writes their label maps")


def undefined(table, classes) -> list[str]:
    """Classes whose IoU is undefined: in neither the ground truth nor the predictions."""
    return [name for name, iou in zip(classes, metrics.scores(table)["iou"], strict=True) if np.isnan(iou)]


def miou_row(tables, protocol, classes, name="mIoU") -> dict:
    """A result for Stage.finish: mean IoU in % of confusions [N, C, C] (or one [C, C]), with its classes as detail, and
    the confusions themselves."""
    iou = 100 * metrics.scores(tables)["iou"]
    return {"name": name, "value": 100 * metrics.mean_iou(tables), "unit": "%", "protocol": protocol,
            "detail": dict(zip(classes, iou.tolist(), strict=True)), **counted(tables, "mean IoU")}


def counted(tables, measure) -> dict:
    """The counts behind a result for Stage.finish, of confusions [N, C, C]; nothing of one [C, C] of all pictures."""
    return {"counts": tables, "measure": measure} if np.ndim(tables) == 3 else {}
