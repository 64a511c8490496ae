"""What the stages read beside pictures and masks: boxes, masks of single objects, maps and proposals of others."""

from functools import partial


def kinds(values) -> dict:
    """List the labels that are read of the pictures of each split, {parameter: kinds}; "A|B" is B where A is not."""
    if "train_on" in values:  # the instance chain
        return dict.fromkeys(("train_split", "val_split"), ("image", "mask", "instances|boxes"))
    return {"train_split": ("image", "mask", "boxes|instances")}


def folders(values, root, names, pictures):
    """Yield (parameter, pictures, function that reads the file of one of them) of each folder that VALUES name.

    ROOT and NAMES are the data set's folder and classes; PICTURES(parameter) lists the pictures of a split.
    """
    from wsnb.ops import boundaries  # loads torch
    from wsnb.papers.simple_does_it import box_labels

    splits = ("train_split", "val_split") if "train_on" in values else ("train_split",)
    items = [item for name in splits for item in pictures(name)]
    if values.get("boundaries", "builtin") not in boundaries.DETECTORS:
        yield "boundaries", items, partial(boundaries.of_folder, values["boundaries"])
    if values.get("mcg_dir"):
        yield "mcg_dir", items, partial(box_labels.mcg_of, values["mcg_dir"])
