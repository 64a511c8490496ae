"""Look at every file of a data set before any training starts, and say at once what is wrong and how to mend it."""

import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context

import numpy as np

from wsnb.data import sbd, voc, voc_lists
from wsnb.data.item import Item
from wsnb.files import FileError

_AT_HOME = 100  # so few pictures are looked at in this process: starting others takes longer


@dataclass
class Report:
    """What the doctor saw. PROBLEMS stop a training or spoil a score; NOTES are worth knowing."""

    root: str
    pictures: dict[str, int] = field(default_factory=dict)     # split -> pictures
    official: dict[str, int] = field(default_factory=dict)     # split -> pictures of the published list
    problems: list[str] = field(default_factory=list)          # one line each: file: what; mend
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    def text(self) -> str:
        """The report as lines: counts, notes, problems, verdict."""
        lines = [self.root]
        for split, count in self.pictures.items():
            published = self.official.get(split)
            against = f" (official list: {published:,})" if published else ""
            lines.append(f"  {split}: {count:,} pictures{against}")
        lines += [f"  note: {note}" for note in self.notes]
        lines += [f"  PROBLEM {problem}" for problem in self.problems]
        count = len(self.problems)
        lines.append("  all files are sound" if not count else f"  {count} problem{'s' if count > 1 else ''}")
        return "\n".join(lines)


def usual_splits(root, layout="voc12") -> list[str]:
    """What is trained and measured on: train and val, and with VOC trainaug where SBD is there."""
    with_sbd = layout == "voc12" and voc_lists.places(root).sbd is not None
    return ["train", "trainaug", "val"] if with_sbd else ["train", "val"]


def check(root, splits=("train", "val"), n_classes: int = 0, workers: int = 0, progress=None,
          layout: str = "voc12") -> Report:
    """Open every file of the pictures of SPLITS of a data set in VOC's LAYOUT, or in SBD's ("sbd"); nothing is written.

    Finds what is missing, empty, truncated, of another size than its picture, in colour or 16 bits, labels at or above
    N_CLASSES (0: as many as the set names), broken XML and boxes outside, unreadable list lines, repeated pictures,
    pictures in both training and test lists. WORKERS processes (0: one a CPU); PROGRESS(done, total) after each
    picture. Raises FileError only if ROOT is no such data set at all.
    """
    if layout not in ("voc12", "shapes", "sbd"):
        raise ValueError(f"layout {layout!r}: take voc12 (shapes is one), or sbd")
    if layout == "sbd":
        sbd.dataset(root)  # raises if the root is wrong altogether, as class_names does
    names = voc.CLASSES if layout == "sbd" else voc.class_names(root)
    official = sbd.OFFICIAL if layout == "sbd" else voc.OFFICIAL if names == voc.CLASSES else {}
    report = Report(str(root), official={split: official[split] for split in splits if split in official})
    listed = _listed_sbd if layout == "sbd" else _listed
    found = {split: listed(root, split, report) for split in splits}
    report.pictures.update((split, len(items)) for split, items in found.items())
    _leaks(found, report)
    everything = [(split, item) for split, items in found.items() for item in items]
    look = partial(_look, n_classes=n_classes or len(names), names=names)
    present = {split: Counter() for split in found}
    said = set(report.problems)
    for done, ((split, _), (problems, labels)) in enumerate(_each(look, everything, workers), 1):
        for problem in problems:
            if problem not in said:  # lists may share a picture
                said.add(problem)
                report.problems.append(problem)
        present[split].update(labels if any(0 < k < 255 for k in labels) else [*labels, "bare"])
        if progress is not None:
            progress(done, len(everything))
    for split, items in found.items():
        _remarks(split, items, present[split], names, report)
    return report


def _listed(root, split: str, report: Report) -> list[Item]:
    """The pictures of a split, each once; what is wrong with the list goes to the report."""
    try:
        lines = voc.split_lines(root, split)
    except FileError as error:
        report.problems.append(str(error))
        return []
    errors, once = [], {}
    for item in voc.find(root, split, lines, errors):
        if item.id in once:
            report.problems.append(f"list {split}: {item.id} occurs twice; remove one of its lines")
        once[item.id] = item
    report.problems += [str(error) for error in errors]
    return list(once.values())


def _listed_sbd(root, split: str, report: Report) -> list[Item]:
    try:
        return sbd.items(root, split)
    except FileError as error:
        report.problems.append(str(error))
        return []


def _leaks(found, report: Report) -> None:
    """Pictures that are trained on and tested on."""
    for train in ("train", "trainaug"):
        for test in ("val", "test"):
            shared = {item.id for item in found.get(train, ())} & {item.id for item in found.get(test, ())}
            if shared:
                report.problems.append(f"lists {train} and {test}: {len(shared)} pictures are in both, the first is "
                                       f"{min(shared)}; take them out of {train}")


def _each(look, everything, workers: int):
    """(entry, look's answer) for each entry, in order; in other processes if there are many."""
    workers = workers or os.cpu_count() or 1
    items = [item for _, item in everything]
    if workers == 1 or len(items) <= _AT_HOME:
        yield from zip(everything, map(look, items), strict=True)
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))  # a fork of a threaded notebook may hang
    try:
        yield from zip(everything, pool.map(look, items, chunksize=16), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


def _look(item: Item, n_classes: int, names) -> tuple[list[str], list[int]]:
    """All problems of one picture's files, and the labels in its mask."""
    problems = []

    def attempt(read, path):
        if path is not None:
            try:
                if not path.exists():
                    raise FileError(f"{path}: missing; fetch it, or take {item.id} out of the list")
                if path.stat().st_size == 0:
                    raise FileError(f"{path}: empty, 0 bytes; fetch it again")
                return read()
            except FileError as error:
                if not problems or not str(error).startswith(f"{item.image}:"):  # a bad image is told once
                    problems.append(str(error))
        return None

    image = attempt(lambda: voc.read_image(item), item.image)
    mask = attempt(lambda: voc.read_mask(item, n_classes), item.mask)
    attempt(lambda: voc.read_instances(item), item.instances)
    boxes = attempt(lambda: voc.read_boxes(item, names), item.boxes)
    if image is not None and boxes is not None and boxes[0].size:  # the reader compares with the XML's own size only
        height, width = image.shape[:2]
        if (boxes[0][:, 2:] > (width, height)).any():
            problems.append(f"{item.boxes}: a box leaves the {width}x{height} picture; mend its numbers")
    return problems, [] if mask is None else np.unique(mask).tolist()


def _remarks(split: str, items, present: Counter, names, report: Report) -> None:
    for what in ("mask", "instances", "boxes"):
        count = sum(getattr(item, what) is not None for item in items)
        if 0 < count < len(items):
            report.notes.append(f"{split}: {what} files for {count:,} of {len(items):,} pictures")
    seen = [k for k in range(1, len(names)) if present[k]]
    if seen and len(seen) < len(names) - 1:
        lacking = ", ".join(names[k] for k in range(1, len(names)) if k not in seen)
        report.notes.append(f"{split}: no picture holds {lacking}; these classes have no score there")
    if present["bare"] and any(item.mask is not None for item in items):
        report.notes.append(f"{split}: {present['bare']:,} pictures without any foreground or without a sound mask")
    if seen:
        report.notes.append(f"{split}: pictures with " + ", ".join(f"{names[k]} {present[k]:,}" for k in seen))
