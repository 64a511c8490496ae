"""What the stages read beside pictures and masks: masks of single objects."""


def kinds(values) -> dict:
    """List the labels that are read of the pictures of each split: {parameter: kinds}."""
    return {"instances_split": ("image", "mask", "instances")}
