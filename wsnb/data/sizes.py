"""How large the published data sets are, for estimates made before they are there."""

import contextlib
from dataclasses import dataclass, replace

from wsnb.data import cityscapes, coco, densepose, imagenet_det, sbd, voc
from wsnb.files import FileError


@dataclass(frozen=True)
class Size:
    """A data set: a usual picture's height and width in pixels, classes with the background, pictures of each split.

    objects: boxes a picture; tags: image labels a picture, both means over the training pictures.
    """

    height: int
    width: int
    classes: int
    objects: float
    tags: float
    splits: dict

    @property
    def megapixels(self) -> float:
        """Of one picture."""
        return self.height * self.width / 1e6


SIZES = {
    # VOC 2012 (devkit), with SBD's masks for trainaug; boxes and tags of its train list
    "voc": Size(375, 500, 21, 2.4, 1.5, voc.OFFICIAL),
    # SBD: 20,172 objects of train, 6,671 of val after the original's preparation
    "sbd": Size(375, 500, 21, 20_172 / 8498, 1.5, sbd.OFFICIAL),
    # Cityscapes; boxes: Li et al. 2018 count them in its fine train list
    "cityscapes": Size(1024, 2048, 19, 17.6, 8, cityscapes.OFFICIAL),
    # DensePose-COCO 2014; the points' list holds the pictures of its train part
    "densepose": Size(480, 640, 15, 2.2, 14, densepose.OFFICIAL | {"panoptic_train2014_points_pmi0.1_256": 26_437}),
    # ImageNet DET as LID 2020 took it: the team's lists
    "imagenet_det": Size(375, 500, 201, 1.5, 1.2, imagenet_det.OFFICIAL | {
        "train_balanced": 72_000, "val_balanced": 4690, "irn_list_nohuman_confident_0.8": 41_156}),
    # COCO 2014 and 2017; boxes and tags as its authors count them (Lin et al., ECCV 2014, section 5)
    "coco": Size(480, 640, 81, 7.7, 3.5, coco.OFFICIAL),
}


def of(p) -> Size:
    """Say how large the data set is whose layout the parameters P name."""
    return SIZES[p.layout]


@contextlib.contextmanager
def instead(layout: str, splits: dict, **other):
    """Inside, the data set of a LAYOUT has the SPLITS {name: pictures}, and what OTHER says of its pictures."""
    before = SIZES[layout]
    SIZES[layout] = replace(before, splits=splits, **other)
    try:
        yield
    finally:
        SIZES[layout] = before


def pictures(layout: str, split: str, limit: int = 0) -> int:
    """How many pictures a SPLIT of the published data set of a LAYOUT has, LIMIT at most unless it is 0. Raises
    FileError for a split that is not known."""
    known = SIZES[layout].splits
    name = split.partition(":")[0]  # train_extra:FILE takes most of its pictures
    if name not in known:
        raise FileError(f"split {split!r}: its size is not known before it is there; known are {', '.join(known)}")
    return min(known[name], limit) if limit else known[name]
