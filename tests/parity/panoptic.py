"""Parity of `panoptic` with arrays of the original program: everything bit for bit."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from tests.parity import panoptic_evaluation
from tests.parity.compare import Check, exact, load
from wsnb.data import read
from wsnb.data.item import Item
from wsnb.files import load_npz, save_npz, sha256
from wsnb.papers.panoptic import cleanup, data, iterate
from wsnb.papers.panoptic.boxes import class_masks, clipped, from_instance_ids, load_boxes, objects, save_boxes
from wsnb.papers.panoptic.cleanup import instance_labels
from wsnb.papers.panoptic.label_space import CITYSCAPES

DEMO = "aachen_000000_000019"
STAGES = dict(zip(cleanup.RULES, ("pred_threshed", "pred_schk", "pred_merge_w_mandg", "pred_bbox_prior", "pred_ichk"),
                  strict=True))


def same(name, ours, theirs) -> Check:
    """Two plain values (lists, texts) are equal or not."""
    return Check(name, 0.0 if ours == theirs else 1.0, 0.0)


def inputs(folder: Path) -> Path:
    """The demo picture's files beside the arrays. Raises FileNotFoundError without them."""
    place = folder / "inputs"
    if not place.is_dir():
        raise FileNotFoundError(f"{place}: the demo picture's files are needed (inputs.json lists them)")
    return place


def demo(folder) -> Item:
    """The demo picture. Only the size of Item.image is read, hence the label map, since the picture is not there."""
    labels, ids = (inputs(folder) / f"data/Cityscapes/gtFine/train/aachen/{DEMO}_gtFine_{kind}TrainIds.png"
                   for kind in ("label", "instance"))
    return Item(DEMO, labels, labels, ids)


def demo_objects(folder, groups=True):
    return data.objects_of("cityscapes", demo(folder), CITYSCAPES, groups)


def rows(found, names=CITYSCAPES.names):
    """Objects as the goldens list them: name, inclusive corners, flags."""
    return [[names[label], x0, y0, x1 - 1, y1 - 1, int(group), int(stuff)] for label, (x0, y0, x1, y1), group, stuff
            in zip(found.labels.tolist(), found.boxes.tolist(), found.groups, found.stuff, strict=True)]


def inclusive(table):
    """Objects of rows (class, xmin, ymin, xmax, ymax, group, stuff), maxima inclusive."""
    return objects((c, x0, y0, x1 + 1, y1 + 1, g, s) for c, x0, y0, x1, y1, g, s in np.asarray(table).tolist())


def run(folder, which, overrides):
    """Clean the demo picture from its files: (maps after each rule, last map, instances or None)."""
    known = dict(overrides)
    crop, which = known.pop("schk_crop_size", (400, 500)), known.pop("pred_dir", which)
    known["save_ins"] = known.pop("run_ins_box_process", True)  # these runs keep arrays, whatever the original saves
    options, root = replace(cleanup.Options(), **known), inputs(folder) / "results"
    with TemporaryDirectory() as place:
        place = Path(place)
        save_boxes(place / f"{DEMO}.mat", demo_objects(folder), CITYSCAPES.names)
        places, tags = data.tags_of("cityscapes", demo(folder), CITYSCAPES, crop)
        save_npz(place / f"{DEMO}.npz", windows=places, tags=tags.astype(np.uint8))
        folders = iterate.Folders(root / which, root / "pred_flat_feat", root / "mcg_and_grabcut/train", place, place)
        return iterate.clean_up(DEMO, options, folders)[1:]


def _variant(path):
    name = path.stem.removeprefix("variant_")
    expected = load(path.parent / "variants.json")[name]
    d = load_npz(path)
    after, last, found = run(path.parent, expected["input"], expected["overrides"])
    checks = [same("which rules ran", sorted(STAGES[k] for k in after), sorted(set(d) & set(STAGES.values())))]
    checks += [exact(STAGES[rule], labels, d[STAGES[rule]]) for rule, labels in after.items() if STAGES[rule] in d]
    checks += [exact("final_pred", last, d["final_pred"]), *counts(name, last, found, expected)]
    checks.append(same("instances made", found is not None, "ins_pred" in d))
    if found is not None and "ins_pred" in d:
        names = [CITYSCAPES.names[label] for label in found.labels]
        checks += [exact("ins_pred", found.ids, d["ins_pred"]), exact("ins_class", found.labels, d["ins_class"]),
                   exact("ins_id", np.arange(1, len(names) + 1), d["ins_id"]),
                   same("ins_name", names, [str(n) for n in d["ins_name"]])]
    return checks


def counts(name, last, found, expected):
    """Checks of the pixel counts and of the warning in variants.json."""
    def table(labels):
        return {str(k): int(n) for k, n in enumerate(np.bincount(labels.ravel(), minlength=256)) if n}

    checks = [same(f"{name} counts", table(last), expected["final_pred_counts"])]
    if found is not None:
        checks.append(same(f"{name} warning", bool(found.lost), expected["sanity_warning"]))
        if expected.get("ins_pred_counts") is not None:
            checks.append(same(f"{name} instance counts", table(found.ids), expected["ins_pred_counts"]))
    return checks


def _variants(path):
    checks = []
    for name, expected in load(path).items():
        _, last, found = run(path.parent, expected["input"], expected["overrides"])
        checks += counts(name, last, found, expected)
    return checks


def _dets(path):
    return [same(key, kept(rows(demo_objects(path.parent, "incl_grps=1" in key)), "is_panoptic=1" in key), theirs)
            for key, theirs in load(path)["dets"].items()]


def kept(listed, panoptic):
    """The rows of all objects; not PANOPTIC, an option of the original that no stage takes: those of things."""
    return [row for row in listed if panoptic or not row[-1]]


def _dets_file(path):
    """The MAT file of the original, read by our reader; ours is read back alike."""
    found = demo_objects(path.parent)
    with TemporaryDirectory() as folder:
        save_boxes(Path(folder) / "own.mat", found, CITYSCAPES.names)
        own = mat_structure(Path(folder) / "own.mat")
    return [same("objects", rows(load_boxes(path, CITYSCAPES.names)), rows(found)),
            same("structure of our file", own, mat_structure(path))]


def mat_structure(path):
    """The struct of a MAT file as nested lists with the kinds of its values."""
    import scipy.io

    def plain(value):
        if value.dtype.names:
            return [{name: plain(row[name]) for name in value.dtype.names} for row in value.ravel()]
        if value.dtype.kind == "O":
            return [plain(item) for item in value.ravel()]
        return [value.dtype.kind, value.tolist()]

    return plain(scipy.io.loadmat(path)["dets"])


def _synth_dets(path):
    maps = load_npz(path.parent / "synth_dets_inputs.npz")
    checks = []
    for key, theirs in load(path).items():
        name, panoptic, groups = key.split("_")
        found = from_instance_ids(maps[name], CITYSCAPES, groups == "g1")
        checks.append(same(key, kept(rows(found), panoptic == "p1"), theirs))
    return checks


def _synth_dets_inputs(path):
    """Inputs of synth_dets.json: the outcomes are there."""
    return [check for check in _synth_dets(path.parent / "synth_dets.json")]


def _bbox_struct(path):
    d = load_npz(path)
    shape = read.mask("cityscapes", demo(path.parent), len(CITYSCAPES)).shape
    found = clipped(demo_objects(path.parent), shape)
    masks = class_masks(found, shape, len(CITYSCAPES))
    sizes = [int(masks[k].sum()) if k in masks else 0 for k in range(len(CITYSCAPES))]
    return [exact("boxes", found.boxes - (0, 0, 1, 1), d["obj_bbox"]), exact("areas", found.areas, d["obj_area"]),
            exact("classes", found.labels, d["obj_class"]), exact("groups", found.groups, d["obj_grp"] > 0),
            exact("stuff", found.stuff, d["obj_stuff"] > 0), exact("mask sizes", sizes, d["bm_count"]),
            exact("masks present", [k in masks for k in range(len(CITYSCAPES))], d["bm_nonempty"] > 0)]


def _synth_boxes(path):
    d = load_npz(path)
    checks = []
    for n in sorted(key.removeprefix("in_sem") for key in d if key.startswith("in_sem")):
        sem, found = d[f"in_sem{n}"], clipped(inclusive(d[f"in_box{n}"]), d[f"in_sem{n}"].shape)
        masks = class_masks(found, sem.shape, len(CITYSCAPES))
        whole = np.stack([masks.get(k, np.zeros(sem.shape, bool)) for k in range(len(CITYSCAPES))])
        own = instance_labels(sem, found)
        checks += [exact(f"bbox{n}", found.boxes - (0, 0, 1, 1), d[f"bbox{n}"]),
                   exact(f"area{n}", found.areas, d[f"area{n}"]), exact(f"masks{n}", whole, d[f"masks{n}"] > 0),
                   exact(f"prior{n}", cleanup.box_rule(sem, found), d[f"prior{n}"]),
                   exact(f"ins{n}", own.ids, d[f"ins{n}"]), exact(f"ins_class{n}", own.labels, d[f"ins_class{n}"]),
                   exact(f"ins_id{n}", np.arange(1, len(own.labels) + 1), d[f"ins_id{n}"])]
        for threshold, keep in ((0.5, True), (0.5, False), (1.01, True), (1.01, False)):
            key = f"iou{round(100 * threshold):03d}_{'keep' if keep else 'alter'}{n}"
            checks.append(exact(key, cleanup.low_iou_rule(sem, found, threshold=threshold, keep_things=keep), d[key]))
        last = cleanup.low_iou_rule(cleanup.box_rule(sem, found), found)
        checks += [exact(f"chain_sem{n}", last, d[f"chain_sem{n}"]),
                   exact(f"chain_ins{n}", instance_labels(last, found).ids, d[f"chain_ins{n}"])]
    return checks


def _overflow(path):
    """270 boxes in one picture: ids from 255 on are 255. The names and shapes of the arrays tell which is which."""
    d = load_npz(path)
    table = next(v for k, v in d.items() if v.ndim == 2 and v.shape[1] == 7)  # class, inclusive corners, two flags
    maps = {k: v for k, v in d.items() if v.ndim == 2 and v.shape[1] != 7}
    sem = next(v for k, v in maps.items() if "sem" in k or k.startswith("in_"))
    found = clipped(inclusive(table), sem.shape)
    own = instance_labels(sem, found)
    checks = [exact(k, own.ids, v) for k, v in maps.items() if v is not sem]
    for k, v in d.items():
        if v.ndim == 1 and "class" in k:
            checks.append(exact(k, own.labels, v))
        elif v.ndim == 1 and "id" in k:
            checks.append(exact(k, np.arange(1, len(own.labels) + 1), v))
    return checks


def _synth_tags(path):
    d = load_npz(path)
    checks = []
    for key in sorted(set(d) - {"pred", "gt"}):
        size = tuple(int(side) for side in key.removeprefix("crop").split("x"))
        places = data.windows(d["pred"].shape, size)
        tags = data.window_tags(d["gt"], places, len(CITYSCAPES))
        checks.append(exact(key, cleanup.tag_rule(d["pred"], places, tags), d[key]))
    return checks


def _crops(path):
    expected = load(path)
    places, tags = data.tags_of("cityscapes", demo(path.parent), CITYSCAPES, (0, 0))
    theirs = [[c["y0"], c["x0"], c["y0"] + c["h"], c["x0"] + c["w"]] for c in expected]
    present = [[k for k in c["labels_present"] if k != 255] for c in expected]
    return [exact("windows", places, theirs), same("tags", [np.flatnonzero(row).tolist() for row in tags], present)]


def _merge_table(path):
    return [exact("merged", cleanup.merge_table(), load_npz(path)["merged"])]


def _palette(path):
    return [exact("colours", CITYSCAPES.palette, np.load(path, allow_pickle=False))]


def _png(path):
    """The label map and the colours of a PNG as the demos saved it."""
    which, kind = path.stem.rsplit("_", 1)
    given = Image.open(path)
    expected = load(path.parent / "variants.json")[which]
    _, last, found = run(path.parent, expected["input"], expected["overrides"])
    ours = last if kind == "sem" else found.ids
    colours = np.array(given.getpalette("RGB"), np.uint8).reshape(-1, 3)
    return [exact("labels", ours, np.array(given)), exact("colours", CITYSCAPES.palette[: len(colours)], colours),
            same("mode", given.mode, "P"), same("colour map is whole", len(colours), 256)]


def _inputs(path):
    """The demo picture's files are those that the original ran on."""
    place = inputs(path.parent)
    known = {entry["path"]: entry["sha256"] for entry in load(path)["files"]}
    return [same(name, sha256(place / name), digest) for name, digest in known.items() if (place / name).exists()]


NAMES = ("iter_default", "iter_no_thresh", "iter_no_tags", "iter_no_mandg", "iter_no_bbox", "iter_no_iou",
         "iter_no_ins", "iter_all_off", "iter_only_score_thresh", "iter_only_check_image_level_tags",
         "iter_only_merge_with_mcg_and_grabcut", "iter_only_apply_bbox_prior", "iter_only_check_low_iou",
         "iter_thresh050", "iter_ichk090", "iter_ichk090_alter", "iter_ichk_alter", "iter_ichk101_no_mandg",
         "iter_ichk101_no_mandg_alter", "iter_crop200x250", "iter_train_extra", "cam_default", "cam_no_mandg",
         "cam_ichk_alter", "cam_crop200x250", "cam_train_extra")
HANDLERS = {
    **panoptic_evaluation.HANDLERS,
    **{f"variant_{name}": _variant for name in NAMES},
    **{f"{which}_{kind}": _png for which in ("iter_default", "cam_default") for kind in ("sem", "ins")},
    "variants": _variants,
    "dets_demo": _dets,
    "dets_demo_octave": _dets_file,
    "synth_dets": _synth_dets,
    "synth_dets_inputs": _synth_dets_inputs,
    "bbox_struct_demo": _bbox_struct,
    "synth_boxes": _synth_boxes,
    "synth_ins_overflow": _overflow,
    "synth_tags": _synth_tags,
    "crops_demo": _crops,
    "merge_table_256x256": _merge_table,
    "palette_256x3_uint8": _palette,
    "inputs": _inputs,
}
