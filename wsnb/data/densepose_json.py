"""DensePose-COCO's annotations (JSON with run lengths) -> grey PNGs of the 14 parts and the lists that name them."""

from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as run_lengths

from wsnb.data.densepose import GREY
from wsnb.files import FileError, load_json, save_text, write

PARTS, SIDE = 14, 256  # a person's parts are masks of 256 x 256, stretched over the person's box
VOID = 255


def annotated(root) -> dict[str, Path]:
    """{split: file} of ROOT/annotations/densepose_coco_2014_SPLIT.json. Raises FileError if there is none."""
    folder, stem = Path(root).expanduser() / "annotations", "densepose_coco_2014_"
    found = {path.stem.removeprefix(stem): path for path in sorted(folder.glob(f"{stem}*.json"))}
    if not found:
        raise FileError(f"{folder}: no {stem}*.json in it; see `wsnb data fetch densepose`")
    return found


def to_png(root, progress=None) -> dict[str, int]:
    """Write segcls/densepose/gray/*.png and lists/SPLIT2014.txt for all annotations of ROOT; {split: pictures}.

    PNGs that are there are kept, so that an interrupted call continues. PROGRESS(done, total) after each picture.
    Raises FileError for broken files.
    """
    root, counts = Path(root).expanduser(), {}
    for split, path in annotated(root).items():
        pictures, lines = people(path), []
        for done, (picture, found) in enumerate(pictures, 1):
            name = picture["file_name"]
            target = root / GREY / f"{Path(name).stem}.png"
            if not target.exists():
                with write(target) as file:  # grey: the original programs read these as luminance
                    Image.fromarray(parts(path, picture, found)).save(file, format="PNG")
            folder = "train2014" if "train2014" in name else "val2014"
            lines.append(f"images/{folder}/{name} {GREY}/{target.name} {GREY}/{target.name}\n")
            if progress is not None:
                progress(done, len(pictures))
        save_text(root / "lists" / f"{split}2014.txt", "".join(lines))
        counts[split] = len(lines)
    return counts


def people(path) -> list[tuple[dict, list[dict]]]:
    """(picture, its people) for each picture of an annotation file in the file's order. Raises FileError."""
    content = load_json(path)
    try:
        found = {picture["id"]: (picture, []) for picture in content["images"]}
        for person in content["annotations"]:
            found[person["image_id"]][1].append(person)
        wrong = [p["file_name"] for p, _ in found.values() if Path(p["file_name"]).name != p["file_name"]]
    except (KeyError, TypeError) as error:
        raise FileError(f"{path}: no COCO annotations ({error!r} is missing); fetch the file again") from error
    if wrong:
        raise FileError(f"{path}: file name {wrong[0]!r} leaves its folder; fetch the file again")
    return list(found.values())


def parts(path, picture: dict, found) -> np.ndarray:
    """The part of every pixel of a picture, uint8 [H, W]: 0, 1..14, and 255 on people whose parts nobody marked.

    Later people and parts lie in front. A mask of 256 x 256 is stretched to the person's rounded box by the nearest
    centre. Raises FileError, naming PATH and the person.
    """
    height, width = int(picture["height"]), int(picture["width"])
    drawn = np.zeros((height, width), np.uint8)
    for person in sorted(found, key=lambda one: bool(one.get("dp_masks"))):  # the unmarked ones behind the others
        try:
            if not person.get("dp_masks"):
                drawn[_outline(person, height, width)] = VOID
                continue
            x, y, w, h = (round(float(value)) for value in person["bbox"])
            masks = person["dp_masks"]
            if len(masks) != PARTS or w < 1 or h < 1:
                raise ValueError(f"{len(masks)} masks on a box of {w}x{h}")
            square = np.zeros((SIDE, SIDE), np.uint8)
            for part, code in enumerate(masks, 1):
                if code:
                    square[run_lengths.decode(code) > 0] = part
        except Exception as error:  # pycocotools raises what it likes for broken codes
            raise FileError(f"{path}: person {person.get('id')} of {picture['file_name']} cannot be read ({error}); "
                            "fetch the file again") from error
        stretched = square[nearest(h, SIDE)[:, None], nearest(w, SIDE)]
        top, left = max(-y, 0), max(-x, 0)
        view = drawn[max(y, 0): y + h, max(x, 0): x + w]
        cut = stretched[top: top + view.shape[0], left: left + view.shape[1]]
        view[cut > 0] = cut[cut > 0]
    return drawn


def nearest(wide: int, narrow: int) -> np.ndarray:
    """For each of WIDE pixels the one of NARROW whose centre is nearest, int64 [WIDE]."""
    return ((np.arange(wide) + 0.5) * narrow / wide).astype(np.int64)


def _outline(person: dict, height: int, width: int) -> np.ndarray:
    """Where COCO's own outline of a person lies, bool [H, W]."""
    outline = person.get("segmentation")
    if not outline:
        return np.zeros((height, width), bool)
    if isinstance(outline, dict):
        codes = [outline if isinstance(outline["counts"], (str, bytes))
                 else run_lengths.frPyObjects(outline, height, width)]
    else:
        codes = run_lengths.frPyObjects(outline, height, width)
    return run_lengths.decode(run_lengths.merge(codes)).astype(bool)
