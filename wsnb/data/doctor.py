"""Open every file of a data set before any training starts, and list all faults with their remedies at once."""

import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from wsnb.data import coco, densepose, imagenet_det, read, sbd, voc, voc_lists
from wsnb.data import item as checked
from wsnb.data.item import Item
from wsnb.data.own.names import is_background
from wsnb.files import FileError, load_npz, load_torch, printable

LAYOUTS = {"voc12": "voc", "shapes": "voc", "sbd": "sbd", "cityscapes": "cityscapes", "imagenet_det": "imagenet_det",
           "densepose": "densepose", "coco": "coco"}  # name of the set -> its reader
_PATIENT = (densepose, imagenet_det)  # readers that go on after a bad line
_NAMED = 20  # class names that are listed, then the number of the others
_AT_HOME = 100  # pictures, at most, that are looked at in this process: starting others takes longer


@dataclass
class Report:
    """The findings. Problems stop a training or spoil a score; notes are worth knowing."""

    root: str
    pictures: dict[str, int] = field(default_factory=dict)     # split -> pictures
    official: dict[str, int] = field(default_factory=dict)     # split -> pictures of the published list
    problems: list[str] = field(default_factory=list)          # one line each: file: fault; remedy
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    def text(self) -> str:
        """Write the report as lines: counts, notes, problems, verdict."""
        lines = [self.root]
        for split, count in self.pictures.items():
            published = self.official.get(split)
            against = f" (official list: {published:,})" if published else ""
            lines.append(f"  {split}: {count:,} pictures{against}")
        lines += [f"  note: {note}" for note in self.notes]
        lines += [f"  PROBLEM {problem}" for problem in self.problems]
        count = len(self.problems)
        lines.append("  all files are sound" if not count else f"  {count} problem{'s' if count > 1 else ''}")
        return printable("\n".join(lines))


def usual_splits(root, layout="voc12") -> list[str]:
    """List the splits that are trained and measured on, as far as they are there: mostly train and val."""
    root = Path(root).expanduser()
    if layout == "voc12" and voc_lists.places(root).sbd is not None:
        return ["train", "trainaug", "val"]
    if layout == "cityscapes":
        have = [name for name in ("train", "val", "train_extra") if (root / "leftImg8bit" / name).is_dir()]
        return have or ["train", "val"]
    if layout == "densepose":
        lists = [path for folder in (root / "lists", root) for path in folder.glob("[!.]*2014*.txt")]
        have = sorted({path.stem.removeprefix("panoptic_") for path in lists})
        return have or ["train2014", "minival2014"]
    if layout == "coco":
        return coco.splits(root) or ["train2017", "val2017"]
    return ["train", "val"]


def check(root, splits=("train", "val"), n_classes: int = 0, workers: int = 0, progress=None,
          layout: str = "voc12") -> Report:
    """Open every file of the pictures of SPLITS of a data set; nothing is written. LAYOUT is one of LAYOUTS.

    Finds what is missing, empty, truncated, of another size than its picture, in colour or 16 bits where it must not
    be, labels at or above N_CLASSES (0: as many as the set names), broken XML and boxes outside, unreadable list
    lines, repeated pictures, pictures in both training and test lists. WORKERS processes (0: one a CPU);
    PROGRESS(done, total) after each picture. Raises FileError only if ROOT is no such data set at all.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout {layout!r}: take one of {', '.join(LAYOUTS)}")
    reader = read.of(LAYOUTS[layout])
    if reader is sbd:
        sbd.dataset(root)  # raises if the root is wrong altogether, as class_names of the others does
    names = reader.class_names(root)
    if not Path(root).expanduser().is_dir():
        raise FileError(f"{root}: no such folder; see `wsnb data fetch {layout}`")
    drawn = (Path(root).expanduser() / "shapes.json").exists() or reader in (voc, sbd) and names != voc.CLASSES
    official = {} if drawn else reader.OFFICIAL
    report = Report(str(root), official={split: official[split] for split in splits if split in official})
    listed = _listed_voc if reader is voc else partial(_listed, reader)
    found = {split: listed(root, split, report) for split in splits}
    report.pictures.update((split, len(items)) for split, items in found.items())
    _leaks(found, report)
    if reader is voc and not is_background(names[0]):
        report.problems.append(f"classes.txt: the first line is {names[0]!r}, but 0 is the background; put background "
                               "first, and see that the masks count from it")
    everything = [(split, item) for split, items in found.items() for item in items]
    look = partial(_look, layout=LAYOUTS[layout], n_classes=n_classes or len(names), names=names)
    background = reader.BACKGROUND
    present = {split: Counter() for split in found}
    said, held = set(report.problems), set()
    for done, ((split, item), (problems, labels)) in enumerate(_each(look, everything, workers), 1):
        for problem in problems:
            if problem not in said:  # lists may share a picture
                said.add(problem)
                report.problems.append(problem)
        classes = [k for k in labels if k not in (background, checked.VOID)]
        present[split].update(classes or ["bare"])
        if item.tags is None and item.mask is not None:  # where tags are listed, masks may hold what is marked only
            held |= set(labels)
        if progress is not None:
            progress(done, len(everything))
    if background == 0 and held == {0, checked.VOID}:
        report.problems.append("masks: all hold nothing but 0 and 255; 255 means unknown: write the class's number, 1 "
                               "for the first")
    for split, items in found.items():
        if reader is coco:
            bare = sum(not item.tags for item in items)
            report.notes.append(f"{split}: {bare:,} pictures without an annotation"
                                + (f" (official: {coco.WITHOUT[split]:,})" if split in report.official else ""))
        _remarks(split, items, present[split], names, background, report)
    return report


def weights(path) -> Report:
    """Report on a file of named tensors, .npz or what torch.save writes: one that cannot be read, that holds anything
    else, or numbers that are not finite."""
    report = Report(str(path))
    try:
        state = load_npz(path) if Path(path).suffix == ".npz" else load_torch(path)
    except FileError as error:
        report.problems.append(str(error))
        return report
    state = state.get("model", state) if isinstance(state, dict) else state
    state = {name: np.asarray(one) for name, one in state.items() if hasattr(one, "shape")} if isinstance(
        state, dict) else {}
    report.notes.append(f"{len(state)} tensors, {sum(one.size for one in state.values()):,} numbers")
    wrong = [name for name, one in state.items() if one.dtype.kind == "f" and not np.isfinite(one).all()]
    if not state:
        report.problems.append(f"{path}: holds no named tensors; give a bare state dict")
    if wrong:
        report.problems.append(f"{path}: {len(wrong)} tensors hold NaN or Inf, the first is {wrong[0]}; fetch it again")
    return report


def _listed_voc(root, split: str, report: Report) -> list[Item]:
    """List the pictures of a split, each once; faults of the list go to the report."""
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


def _listed(reader, root, split: str, report: Report) -> list[Item]:
    errors, items = [], []
    try:
        items = reader.items(root, split, errors=errors) if reader in _PATIENT else reader.items(root, split)
    except FileError as error:
        errors.append(error)
    report.problems += [str(error) for error in errors]
    return items


def _leaks(found, report: Report) -> None:
    """Report pictures that are trained on and tested on."""
    for train in (split for split in found if split.startswith("train")):
        for test in (split for split in found if split.startswith(("val", "test", "minival"))):
            shared = {item.id for item in found[train]} & {item.id for item in found[test]}
            if shared:
                report.problems.append(f"lists {train} and {test}: {len(shared)} pictures are in both, the first is "
                                       f"{min(shared)}; take them out of {train}")


def _each(look, everything, workers: int):
    """Yield (entry, look's answer) for each entry, in order; in other processes if there are many."""
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


def _look(item: Item, layout: str, n_classes: int, names) -> tuple[list[str], list[int]]:
    """Find all problems of one picture's files, and its labels: of the mask, or the list's tags where there is none."""
    problems, reader = [], read.of(layout)

    def attempt(look, path):
        if path is not None:
            try:
                if not path.exists():
                    raise FileError(f"{path}: missing; fetch it, or take {item.id} out of the list")
                if path.stat().st_size == 0:
                    raise FileError(f"{path}: empty, 0 bytes; fetch it again")
                return look()
            except FileError as error:
                if not problems or not str(error).startswith(f"{item.image}:"):  # a bad image is reported once
                    problems.append(str(error))
        return None

    attempt(lambda: read.image(item), item.image)
    mask = attempt(lambda: reader.read_mask(item, n_classes), item.mask)
    attempt(lambda: reader.read_instances(item), item.instances)
    attempt(lambda: reader.read_boxes(item, names), item.boxes)
    attempt(lambda: checked.regions(item), item.regions)
    for what in ("scribbles", "points"):
        attempt(lambda what=what: checked.weak_map(item, what, n_classes), getattr(item, what))
    return problems, list(item.tags or ()) if mask is None else np.unique(mask).tolist()


def _remarks(split: str, items, present: Counter, names, background, report: Report) -> None:
    for what in ("mask", "instances", "boxes", "regions", "scribbles", "points"):
        count = sum(getattr(item, what) is not None for item in items)
        if 0 < count < len(items):
            report.notes.append(f"{split}: {what} files for {count:,} of {len(items):,} pictures")
    classes = [k for k in range(len(names)) if k != background]
    seen = [k for k in classes if present[k]]
    if seen and len(seen) < len(classes):
        lacking = _few([names[k] for k in classes if k not in seen])
        report.notes.append(f"{split}: no picture holds {lacking}; these classes have no score there")
    if present["bare"] and any(item.mask is not None for item in items):
        report.notes.append(f"{split}: {present['bare']:,} pictures without any foreground or without a sound mask")
    if seen:
        report.notes.append(f"{split}: pictures with " + _few([f"{names[k]} {present[k]:,}" for k in seen]))


def _few(names) -> str:
    more = len(names) - _NAMED
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:_NAMED])} and {more} more"
