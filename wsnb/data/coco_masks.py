"""COCO's outlines of objects, checked before they are drawn: polygons `[[x, y, x, y, ...], ...]`, or run lengths
`{"size": [H, W], "counts": ...}` of a mask's columns, as numbers or in COCO's compressed text.

pycocotools trusts its input: it writes outside its memory, or leaves memory unwritten, where a code is wrong.
"""

import numpy as np
from pycocotools import mask as run_lengths

from wsnb.files import FileError

VOID = 255


def region(outline, size) -> np.ndarray:
    """Fill an outline in a picture of SIZE (H, W): bool [H, W]. Raises ValueError for a broken one."""
    height, width = size
    if isinstance(outline, dict):
        return _decoded(outline, height, width)
    if not isinstance(outline, list) or not outline or any(
            not isinstance(part, list) or len(part) < 6 or len(part) % 2 for part in outline):
        raise ValueError("a polygon is a list x, y, x, y, ... of three corners or more")
    for part in outline:
        for value, side in zip(part, (width, height) * (len(part) // 2), strict=True):
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"{str(value)[:40]!r} in its polygon is no number")
            if not -side <= value <= 2 * side:  # nor is NaN
                raise ValueError(f"{str(value)[:40]} in its polygon lies far outside of the {width}x{height} picture")
    codes = run_lengths.frPyObjects([[float(value) for value in part] for part in outline], height, width)
    return run_lengths.decode(run_lengths.merge(codes)).astype(bool)


def _decoded(code: dict, height: int, width: int) -> np.ndarray:
    """Decode run lengths: bool [H, W]. Raises ValueError where they do not fill the picture exactly."""
    if code.get("size") != [height, width]:
        raise ValueError(f"its run lengths are of {str(code.get('size'))[:40]}, the picture is [{height}, {width}]")
    counts = code.get("counts")
    if isinstance(counts, str | bytes):
        counts = _uncompressed(counts.encode("latin1", "replace") if isinstance(counts, str) else counts)
    if not isinstance(counts, list | tuple) or not all(
            isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in counts):
        raise ValueError("its run lengths cannot be read: they are no list of numbers from 0")
    if sum(counts) != height * width:
        raise ValueError(f"its run lengths are {sum(counts)} pixels together, {height}x{width} are {height * width}")
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(width, height).T


def _uncompressed(text: bytes) -> list[int]:
    """Read the numbers of COCO's compressed run lengths: groups of 5 bits, and from the third the difference to the
    number two before."""
    counts, value, shift = [], 0, 0
    for byte in text:
        bits = byte - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("its run lengths cannot be read: they are no compressed text of COCO")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (1 << shift) if bits & 16 else 0
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value, shift = 0, 0
    if shift:
        raise ValueError("its run lengths cannot be read: they end inside a number")
    return counts


def drawn(path, found, size) -> np.ndarray:
    """Draw the outlines FOUND [(class, outline, crowd)] into a label map uint8 [H, W], the smaller ones in front; what
    no outline covers is background. Raises FileError naming PATH."""
    try:
        masks = [(VOID if crowd else label, region(outline, size)) for label, outline, crowd in found]
    except ValueError as error:
        raise FileError(f"{path}: {error}; export it again") from error
    labels = np.zeros(size, np.uint8)
    for label, mask in sorted(masks, key=lambda pair: -int(pair[1].sum())):
        labels[mask] = label
    return labels
