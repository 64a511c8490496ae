"""What the stages read beside pictures and masks: labels of any origin."""

from functools import partial
from pathlib import Path


def folders(values, root, names, pictures):
    """Yield (parameter, pictures, function that reads the file of one of them) of each folder that VALUES name.

    ROOT and NAMES are the data set's folder and classes; PICTURES(parameter) lists the pictures of a split.
    """
    if values.get("labels_dir"):
        from wsnb.papers.student import sources  # loads torch

        source = sources.Source(Path(values["labels_dir"]), values["layout"], names)
        items = pictures("train_split")
        sources.need_results(items, source)
        yield "labels_dir", items, partial(sources.label_map, source=source)
