"""What the stages read beside pictures and masks: boxes, scribbles, points, and files of the authors."""

from functools import partial

MADE = {"box": ("mask", "boxes|instances"), "scribble": ("mask", "instances"), "point": ("mask", "instances")}


def kinds(values) -> dict:
    """List the labels that are read of the pictures of each split, {parameter: kinds}; "A|B" is B where A is not."""
    supervision, origin = values.get("supervision"), values.get("weak_source", "made")
    labels = MADE.get(supervision, ("mask",)) if origin == "made" else ("mask",)
    if origin == "dataset" and supervision in ("scribble", "point"):
        labels = "mask", f"{supervision}s"
    elif origin == "list":  # its masks are no true ones; the points of DensePose's list stand beside the mask
        labels = ("mask", "points") if (values["layout"], supervision) == ("densepose", "point") else ("weak mask",)
    regions = ("regions",) if values.get("regions_source") == "list" else ()
    return {"train_split": ("image", *labels, *regions), "val_split": ("image", "mask", "instances")}


def folders(values, root, names, pictures):
    """Yield (parameter, pictures, function that reads the file of one of them) of each folder that VALUES name.

    ROOT and NAMES are the data set's folder and classes; PICTURES(parameter) lists the pictures of a split.
    """
    from wsnb.ops import boundaries  # loads torch
    from wsnb.papers.spml import pseudo_labels, weak_labels

    items = pictures("train_split")
    if values.get("cam_dir"):
        yield "cam_dir", items, partial(pseudo_labels.official_cams_of, values["cam_dir"], len(names) - 1)
    for parameter, source in (("regions_dir", "regions_source"), ("weak_dir", "weak_source")):
        if values.get(parameter) and values[source] == "folder":
            yield parameter, items, partial(weak_labels.regions_of, values[parameter])
    if values.get("regions_source") == "made" and values["boundaries"] not in boundaries.DETECTORS:
        yield "boundaries", items, partial(boundaries.of_folder, values["boundaries"])
