"""What the stages read beside pictures and masks: boxes, objects, files of the authors and of detectors."""

from functools import partial


def kinds(values) -> dict:
    """List the labels that are read of the pictures of each split, {parameter: kinds}; "A|B" is B where A is not."""
    of_cityscapes = values.get("layout") == "cityscapes"  # whose boxes are those of the objects
    train = ("image", "mask", "instances" if of_cityscapes else "boxes")
    return {"train_split": train, "extra_split": train, "val_split": ("image", "mask", "instances|boxes")}


def folders(values, root, names, pictures):
    """Yield (parameter, pictures, function that reads the file of one of them) of each folder that VALUES name.

    ROOT and NAMES are the data set's folder and classes; PICTURES(parameter) lists the pictures of a split.
    """
    from wsnb.papers.panoptic import cams, data, instance_network, label_space, masks, predict  # loads torch

    space, train = label_space.at(values["layout"], root), [*pictures("train_split"), *pictures("extra_split")]
    readers = {
        "cam_dir": partial(cams.given_labels, values.get("cam_dir"), len(space)),
        "boxes_dir": partial(data.boxes_of, values.get("boxes_dir"), space.names),
        "mandg_dir": partial(masks.mandg_labels, box_folder=None, space=space, settings=None,
                             given_folder=values.get("mandg_dir")),
        "pred_dir": partial(cams.given_labels, values.get("pred_dir"), len(space)),
        "pred_score_dir": partial(predict.scores_of, values.get("pred_score_dir"))}
    for parameter, of_item in readers.items():
        if values.get(parameter):
            yield parameter, train, of_item
    if values.get("detections_dir") and "files" in values["detections"]:
        yield "detections_dir", pictures("val_split"), partial(
            instance_network.detections_of, values["detections_dir"], space.names)
