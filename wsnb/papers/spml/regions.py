"""Over-segmentation: the regions within which the paper calls pixels alike (Ke et al., ICLR 2021).

uint8 [H, W], a region's number at every pixel. The original reads PNGs cut from owt-ucm over HED (VOC) or PMI
(DensePose); the book makes owt-ucm regions over boundaries of its own.
"""

import cv2
import numpy as np

from wsnb.files import FileError, read_index
from wsnb.methods.boundaries import boundary_map
from wsnb.methods.hierarchies import regions, ucm

MOST = 255  # a region's number has 8 bits, and 255 is padding


def made(image, threshold=0.3, scale=1.0) -> np.ndarray:
    """Regions of a picture uint8 [H, W, 3]: uint8 [H, W], numbers 0..R-1, R <= 255.

    owt-ucm over `boundary_map`, of the picture shrunk by SCALE, cut at THRESHOLD; where that leaves more than 255
    regions, at the lowest higher height that does not (in the original's 8 bits further ones would alias).
    """
    height, width = image.shape[:2]
    small = image
    if scale != 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    found = at_most(ucm(boundary_map(small)), threshold)
    return cv2.resize(found, (width, height), interpolation=cv2.INTER_NEAREST)


def at_most(hierarchy, threshold) -> np.ndarray:
    """The segmentation at THRESHOLD, or at the lowest height above it that has at most 255 regions: uint8."""
    heights = np.unique(hierarchy.heights[hierarchy.heights > threshold])
    candidates = np.concatenate([[threshold], heights])
    low, high = 0, len(candidates) - 1  # the number of regions never grows with the height
    while low < high:
        middle = (low + high) // 2
        if int(regions(hierarchy, candidates[middle]).max()) < MOST:
            high = middle
        else:
            low = middle + 1
    return regions(hierarchy, candidates[low]).astype(np.uint8)


def read(path, shape) -> np.ndarray:
    """Official regions from an 8-bit index PNG of the picture's size (SHAPE is height, width). Raises FileError."""
    found = read_index(path)
    if found.shape != tuple(shape):
        raise FileError(f"{path}: {found.shape[1]}x{found.shape[0]}, its picture is {shape[1]}x{shape[0]}; take the "
                        "regions of this very picture")
    return found

