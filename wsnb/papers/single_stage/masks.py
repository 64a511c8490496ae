"""From a network to label maps on disk: one picture after another, resumable, CRFs in worker processes."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from wsnb.data import voc
from wsnb.files import FileError, save_png
from wsnb.methods.crf import crf_labels
from wsnb.papers.single_stage.inference import gate, picture_scores
from wsnb.papers.single_stage.steps import Settings

SOURCES = {"predicted": "", "ground truth": "_clean"}  # where image tags come from, and the folder's suffix


@dataclass(frozen=True)
class Inference:
    """A network and how it is applied; called with a picture and its true tags, it gives `picture_scores`."""

    network: object
    scales: list
    canvas: int
    flip: bool = True
    device: str = "cpu"
    settings: Settings = field(default_factory=Settings)
    cut: float = 0.1
    background_power: float = 3.0
    cam_background: float = 0.1

    def __call__(self, image, tags=None):
        return picture_scores(
            self.network,
            image,
            self.scales,
            self.canvas,
            self.flip,
            self.device,
            tags,
            self.cut,
            self.settings,
            self.background_power,
            self.cam_background,
        )


def folders(sources, crf_iterations) -> list[str]:
    """Names of the mask folders: masks, masks_crf, masks_clean, masks_clean_crf, as asked for.

    Raises ValueError for an unknown source.
    """
    unknown = [source for source in sources if source not in SOURCES]
    if unknown or not sources:
        raise ValueError(f"tag_sources {list(sources)}: use one or both of {', '.join(map(repr, SOURCES))}")
    return [f"masks{SOURCES[source]}{end}" for source in sources for end in (("", "_crf") if crf_iterations else ("",))]


def need_tags(items, sources, split) -> None:
    """Raise FileError if SOURCES ask for true tags that some pictures of SPLIT have not."""
    missing = [item.id for item in items if item.mask is None and item.tags is None]
    if missing and "ground truth" in sources:
        raise FileError(f"split {split!r}: {len(missing)} of {len(items)} pictures have neither tags nor a mask (the "
                        f"first is {missing[0]}); take tag_sources=[predicted]")


def jobs(infer, items, n_classes, sources, crf, folder):
    """Run the network on each picture and yield what `finish` needs; pictures whose files are all there give None.

    Ground-truth tags are read only if SOURCES ask for them.
    """
    for item in items:
        paths = [Path(folder) / name / f"{item.id}.png" for name in folders(sources, crf.iterations)]
        if all(path.exists() for path in paths):  # names only ever show whole files
            yield None
            continue
        image = voc.read_image(item)
        truth = voc.read_tags(item, n_classes) if "ground truth" in sources else None
        found, scores = infer(image, truth)
        tags = [found > infer.cut if source == "predicted" else truth for source in sources]
        yield image, scores.astype(np.float32), np.array(tags), crf, paths


def finish(job) -> None:
    """Gate the scores by each kind of tags, take the winner, refine with the CRF, write the label maps."""
    if job is None:
        return
    image, scores, tags, crf, paths = job
    paths = iter(paths)
    for one in tags:
        gated = gate(scores, one)
        save_png(next(paths), gated.argmax(axis=0).astype(np.uint8))
        if crf.iterations:
            save_png(next(paths), crf_labels(image, gated, crf))
