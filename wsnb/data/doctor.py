"""Open every file of a data set before any training starts, and list all faults with their remedies at once."""

import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from wsnb.data import cityscapes, coco, densepose, imagenet_det, read, sbd, voc, voc_lists
from wsnb.data import item as checked
from wsnb.data.item import Item
from wsnb.data.own.names import is_background
from wsnb.files import FileError, load_npz, load_torch, printable, regular
from wsnb.legacy_pickle import load_legacy_array

LAYOUTS = {"voc12": "voc", "shapes": "voc", "sbd": "sbd", "cityscapes": "cityscapes", "imagenet_det": "imagenet_det",
           "densepose": "densepose", "coco": "coco"}  # name of the set -> its reader
KINDS = ("image", "mask", "instances", "boxes", "regions", "scribbles", "points")  # fields of Item
_PATIENT = (densepose, imagenet_det)  # readers that go on after a bad line
RELEASED = {  # file of weights -> its tensors, without the counters of batch normalisation that newer files have
    "model_enc_e020Xs0.928.pth": 259, "ilsvrc-cls_rna-a1_cls1000_ep-0001.pth": 191, "vgg16_20M.pth": 30,
    "resnet50-19c8e357.pth": 267, "resnet101-5d3b4d8f.pth": 522, "mobilenet_v2_imagenet.pth": 262}
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
          layout: str = "voc12", kinds=KINDS, bare: bool = False) -> Report:
    """Open every file of the pictures of SPLITS of a data set; nothing is written. LAYOUT is one of LAYOUTS; KINDS are
    those of the pictures' files that are looked at ("A|B": B where a picture has no A; "weak mask": one with marks of
    its own for what is unknown). BARE: a split may come without any mask.

    Finds what is missing, empty, truncated, of another size than its picture, in colour or 16 bits where it must not
    be, labels at or above N_CLASSES (0: as many as the set names), broken XML and boxes outside, unreadable list
    lines, repeated pictures, pictures in both training and test lists. WORKERS processes (0: one a CPU);
    PROGRESS(done, total) after each picture. Raises FileError only if ROOT is no such data set at all.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout {layout!r}: take one of {', '.join(LAYOUTS)}")
    reader = read.of(LAYOUTS[layout])
    if not Path(root).expanduser().is_dir():
        raise FileError(f"{root}: no such folder; see `wsnb data fetch {layout}`")
    report = Report(str(root))
    names = _names(reader, root, report)
    drawn = (Path(root).expanduser() / "shapes.json").exists() or reader in (voc, sbd) and names != voc.CLASSES
    official = {} if drawn else reader.OFFICIAL
    report.official.update((split, official[split]) for split in splits if split in official)
    listed = _listed_voc if reader is voc else partial(_listed, reader)
    found = {split: listed(root, split, report) for split in splits}
    if bare:
        found = {split: items if any(item.mask and item.mask.exists() for item in items) else
                 [replace(item, mask=None) for item in items] for split, items in found.items()}
    report.pictures.update((split, len(items)) for split, items in found.items())
    _leaks(found, report)
    if not names:
        kinds = [kind for kind in kinds if "boxes" not in kind]  # they name classes
    elif reader is voc and not is_background(names[0]):
        report.problems.append(f"classes.txt: the first line is {names[0]!r}, but 0 is the background; put background "
                               "first, and see that the masks count from it")
    everything = [(split, item) for split, items in found.items() for item in items]
    look = partial(_look, layout=LAYOUTS[layout], n_classes=n_classes or len(names) or checked.VOID, names=names,
                   kinds=kinds)
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
        report.problems.append(checked.NO_CLASS)
    for split, items in found.items() if names else ():
        if reader is cityscapes:
            _lone_labels(split, items, report)
        if reader is coco:
            bare = sum(not item.tags for item in items)
            report.notes.append(f"{split}: {bare:,} pictures without an annotation"
                                + (f" (official: {coco.WITHOUT[split]:,})" if split in report.official else ""))
        _remarks(split, items, present[split], names, background, report)
    return report


def folder(parameter: str, items, of_item, workers: int = 0, progress=None) -> Report:
    """Read the files of other programs that the folder of PARAMETER has of ITEMS, pictures, by OF_ITEM, the function
    that reads them in a run. WORKERS and PROGRESS as in `check`."""
    report, entries = Report(parameter, {parameter: len(items)}), [(None, item) for item in items]
    for done, (_, problem) in enumerate(_each(partial(_fault, of_item=of_item), entries, workers), 1):
        problem = problem and f"{parameter}: {problem}"
        if problem in report.problems:  # of one file for all
            break
        report.problems += [problem] if problem else []
        if progress is not None:
            progress(done, len(items))
    return report


def _fault(item: Item, of_item) -> str | None:
    """What is wrong with a file of a picture."""
    try:
        of_item(item)
    except ValueError as error:  # or a FileError
        return str(error)
    except Exception as error:  # noqa: BLE001 - the other files' report must not be lost
        return f"{item.id}: its file cannot be read ({type(error).__name__}: {error}); fetch or make it again"
    return None


def weights(path) -> Report:
    """Report on a file of named tensors, .npz or what torch.save writes: one that cannot be read, that holds anything
    else, numbers that are not finite, or another number of tensors than the RELEASED file of its name."""
    report = Report(str(path))
    try:
        state = load_npz(path) if Path(path).suffix == ".npz" else load_torch(path)
    except FileError as error:
        report.problems.append(str(error))
        return report
    state = {name: _array(one) for name, one in _tensors(state)}
    foreign = [name for name, one in state.items() if one is None]
    if foreign:
        report.problems.append(f"{path}: {len(foreign)} tensors are no plain arrays (sparse, quantised, nested or of "
                               f"no device), the first is {foreign[0]}; save dense ones")
    state = {name: one for name, one in state.items() if one is not None}
    report.notes.append(f"{len(state)} tensors, {sum(one.size for one in state.values()):,} numbers")
    wrong = [name for name, one in state.items() if one.dtype.kind in "fc" and not np.isfinite(one).all()]
    published, count = RELEASED.get(Path(path).name), sum(not name.endswith("num_batches_tracked") for name in state)
    if not state and not foreign:
        report.problems.append(f"{path}: holds no named tensors; give a bare state dict")
    elif published not in (None, count):
        report.problems.append(f"{path}: {count} tensors without counters, the released file of this name has "
                               f"{published}; fetch it again")
    if wrong:
        report.problems.append(f"{path}: {len(wrong)} tensors hold NaN or Inf, the first is {wrong[0]}; fetch it again")
    return report


def tags(path) -> Report:
    """Report on a table of tags in an .npy file, {picture: vector of 0 and 1}, as IRN's cls_labels.npy."""
    report, table = Report(str(path)), None
    try:
        table = load_legacy_array(path)
    except FileError as error:
        report.problems.append(str(error))
        return report
    if not isinstance(table, dict) or not table:
        report.problems.append(f"{path}: holds no dictionary of tags; give IRN's cls_labels.npy")
        return report
    vectors = {name: _array(vector) for name, vector in table.items()}
    shape = next((vector.shape for vector in vectors.values() if vector is not None), None)
    wrong = [name for name, vector in vectors.items() if vector is None or vector.shape != shape or vector.ndim != 1
             or vector.dtype.kind not in "biuf" or not np.isin(vector, (0, 1)).all()]
    if wrong:
        report.problems.append(f"{path}: {len(wrong)} of {len(table)} pictures have no vector of 0 and 1 of one "
                               f"length, the first is {wrong[0]}; make the table again")
    report.notes.append(f"{len(table):,} pictures, vectors of {shape}")
    return report


def _tensors(state, prefix="", depth=20):
    """Yield (name, tensor) of a dictionary, and of those within it, DEPTH of them at most: one may hold itself."""
    for name, one in state.items() if isinstance(state, dict) and depth else ():
        if hasattr(type(one), "shape"):
            yield f"{prefix}{name}", one
        yield from _tensors(one, f"{prefix}{name}.", depth - 1)


def _array(one) -> np.ndarray | None:
    """An array of the numbers of a tensor, or of a list; None where they are no plain ones."""
    try:
        if not hasattr(one, "detach"):
            return np.asarray(one)
        one = one.detach()
        return np.asarray(one.float() if one.is_floating_point() else one)
    except (TypeError, ValueError, RuntimeError):  # the last: of torch, NotImplementedError too
        return None


def _names(reader, root, report: Report) -> tuple[str, ...]:
    """Read the class names; () where their file is broken, which goes to the report. Raises FileError if the root is
    wrong altogether."""
    {voc: voc_lists.places, sbd: sbd.dataset, imagenet_det: imagenet_det.names_file}.get(reader, Path)(root)
    try:
        return reader.class_names(root)
    except FileError as error:
        report.problems.append(str(error))
        return ()


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
    report.problems += [str(error) for error in errors if str(error) not in report.problems]
    untagged = [item.id for item in once.values() if item.tags is None and item.mask is not None]
    if len(untagged) < len(once) and any(item.tags is not None for item in once.values()) and untagged:
        report.problems.append(f"tags.json: {len(untagged)} of {len(once)} pictures of {split} have no tags there, the "
                               f"first is {untagged[0]}; add them, [] where nothing is, or remove the file")
    return list(once.values())


def _listed(reader, root, split: str, report: Report) -> list[Item]:
    errors, items = [], []
    try:
        items = reader.items(root, split, errors=errors) if reader in _PATIENT else reader.items(root, split)
    except FileError as error:
        errors.append(error)
    report.problems += [str(error) for error in errors if str(error) not in report.problems]
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


def _look(item: Item, layout: str, n_classes: int, names, kinds) -> tuple[list[str], list[int]]:
    """Find all problems of one picture's files, and its labels: of the mask, or the list's tags where there is none."""
    problems, reader = [], read.of(layout)
    kinds = {next((one for one in kind.split("|") if getattr(item, one, None)), kind) for kind in kinds}

    def attempt(kind, look, field=None):
        path = getattr(item, field or kind) if kind in kinds else None
        if path is not None:
            try:
                if not _exists(path):
                    raise FileError(f"{path}: missing; fetch it, or take {item.id} out of the list")
                if regular(path).stat().st_size == 0:
                    raise FileError(f"{path}: empty, 0 bytes; fetch it again")
                return look()
            except FileError as error:
                if not problems or not str(error).startswith(f"{item.image}:"):  # a bad image is reported once
                    problems.append(str(error))
            except Exception as error:  # noqa: BLE001 - the other files' report must not be lost
                problems.append(f"{path}: cannot be read ({type(error).__name__}: {error}); fetch or make it again")
        return None

    attempt("image", lambda: read.image(item))
    mask = attempt("mask", lambda: reader.read_mask(item, n_classes))
    if "weak mask" in kinds:  # marks of its own for what is unknown
        mask = attempt("weak mask", lambda: checked.weak_map(item, "mask", n_classes), "mask")
    instances = attempt("instances", lambda: reader.read_instances(item))
    if mask is not None and instances is not None and (lone := _without_class(mask, instances, reader.BACKGROUND)):
        problems.append(f"{item.instances}: {len(lone)} objects lie on background or void of {item.mask.name} only, "
                        f"the first is {lone[0]}; give two masks of one picture")
    attempt("boxes", lambda: reader.read_boxes(item, names))
    attempt("regions", lambda: checked.regions(item))
    for what in ("scribbles", "points"):
        attempt(what, lambda what=what: checked.weak_map(item, what, n_classes))
    return problems, list(item.tags or ()) if mask is None else np.unique(mask).tolist()


def _exists(path) -> bool:
    """Tell whether a file is there. Raises FileError for a name that the system cannot have."""
    try:
        return path.exists()
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}; correct the list") from error


def _lone_labels(split: str, items, report: Report) -> None:
    """Note labels of Cityscapes whose picture is not there: its lists are its folders."""
    pictures = {path.name.partition("_leftImg8bit.")[0] for folder in {item.image.parents[1] for item in items}
                for path in folder.glob("[!.]*/[!.]*_leftImg8bit.*")}
    lone = sorted(path.name for folder in {item.mask.parents[1] for item in items if item.mask}
                  for path in folder.glob("[!.]*/[!.]*_label*Ids.png") if path.name.split("_gt")[0] not in pictures)
    if lone:
        report.notes.append(f"{split}: {len(lone)} label files without a picture, the first is {lone[0]}; unpack "
                            "leftImg8bit again if it should be there")


def _without_class(mask, instances, background) -> list[int]:
    """List the numbers of objects that have no pixel of a class, in a mask that holds some class."""
    of_class = (mask != checked.VOID) & (mask != (checked.VOID if background is None else background))
    if mask.shape != instances.shape or not of_class.any():
        return []  # said already
    there = np.unique(instances)
    lone = np.setdiff1d(there[there > 0], instances[of_class])
    return lone[lone != checked.VOID].tolist() if instances.dtype == np.uint8 else lone.tolist()


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
