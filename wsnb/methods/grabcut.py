"""GrabCut: from a box to the object in it (Rother, Kolmogorov, Blake, SIGGRAPH 2004), as OpenCV computes it."""

import cv2
import numpy as np

TINY = 9  # pixels; smaller boxes are taken as they are
MARGIN = 3  # pixels that a box of the whole picture is shrunk by, so that some background is known


def inside_picture(box, shape) -> tuple[int, int, int, int]:
    """BOX (x0, y0, x1, y1, half-open) cut to a picture of SHAPE (height, width); (0, 0, 0, 0) if nothing is left."""
    x0, y0, x1, y1 = (int(v) for v in box)
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, shape[1]), min(y1, shape[0])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else (0, 0, 0, 0)


def filled(shape, box) -> np.ndarray:
    """BOX as a mask bool [H, W]; what lies outside the picture is cut off."""
    x0, y0, x1, y1 = inside_picture(box, shape)
    mask = np.zeros(shape, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def grabcut_label(image, box, seed: int = 0, iterations: int = 5) -> np.ndarray:
    """The object in a box: bool [H, W] from a picture uint8 [H, W, 3] (RGB) and a box (x0, y0, x1, y1, half-open).

    Outside the box is background; inside, two mixtures of five Gaussians and a cut along colour contrast decide, over
    ITERATIONS. A box of fewer than 9 pixels is the label itself; one of the whole picture is shrunk by 3 pixels a side.
    The box is cut to the picture first; one outside it gives an empty label. The label may be empty: a small object's
    colours may all be explained by the background. SEED feeds OpenCV's generator, so that a label does not depend on
    what was computed before, as the original program's do.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"grabcut_label: picture {image.dtype} {image.shape}; give uint8 [H, W, 3]")
    height, width = image.shape[:2]
    x0, y0, x1, y1 = inside_picture(box, (height, width))
    area = (x1 - x0) * (y1 - y0)
    if area < TINY:
        return filled((height, width), (x0, y0, x1, y1))
    rectangle = (x0, y0, x1 - x0, y1 - y0)
    if area == height * width:
        rectangle = (MARGIN, MARGIN, width - 2 * MARGIN, height - 2 * MARGIN)
        if min(rectangle[2:]) < 1:  # nothing would be left: the picture is all object
            return filled((height, width), (x0, y0, x1, y1))
    mask = np.zeros((height, width), np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(int(seed))
    cv2.grabCut(np.ascontiguousarray(image[..., ::-1]), mask, rectangle, *models, iterations, cv2.GC_INIT_WITH_RECT)
    return (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)


def grabcut_from_map(image, scores, percentiles=(15, 70, 99.5), seed: int = 0, iterations=5) -> np.ndarray:
    """The object that a class activation map points at: bool [H, W] from a picture uint8 [H, W, 3] (RGB) and SCORES
    float [H, W].

    Scores below the first of the PERCENTILES are background, above the last object; between them GrabCut decides, and
    the one in the middle says what it begins with. A map without a background or without an object pixel by that rule
    (a flat one) points at nothing: all False. SEED as in `grabcut_label`.
    """
    low, middle, high = np.percentile(scores, percentiles)
    mask = np.select([scores < low, scores < middle, scores <= high],
                     [cv2.GC_BGD, cv2.GC_PR_BGD, cv2.GC_PR_FGD], cv2.GC_FGD).astype(np.uint8)
    if not ((mask == cv2.GC_BGD) | (mask == cv2.GC_PR_BGD)).any() or not (mask == cv2.GC_FGD).any():
        return np.zeros(mask.shape, bool)
    cv2.setRNGSeed(int(seed))
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(image[..., ::-1]), mask, None, *models, iterations, cv2.GC_INIT_WITH_MASK)
    return (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)


def reduced(image, boxes, side: int) -> tuple[np.ndarray, np.ndarray]:
    """(picture, boxes) scaled so that the longer side is at most SIDE pixels (0: as they are); boxes int64 [N, 4].

    Boxes grow outwards to whole pixels, so that they keep at least one. GrabCut's time is linear in pixels.
    """
    boxes = np.asarray(boxes, np.int64).reshape(-1, 4)
    height, width = image.shape[:2]
    if not side or max(height, width) <= side:
        return image, boxes
    factor = side / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    ratio = np.array([size[0] / width, size[1] / height] * 2)
    scaled = boxes * ratio
    scaled[:, :2], scaled[:, 2:] = np.floor(scaled[:, :2] + 1e-6), np.ceil(scaled[:, 2:] - 1e-6)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), scaled.astype(np.int64)


def enlarged(mask, shape, box) -> np.ndarray:
    """A mask bool [h, w] of a reduced picture at SHAPE (height, width), within BOX: bool [H, W].

    Bilinear, cut at one half: smoother than nearest pixels. The box was known exactly before the reduction.
    """
    if mask.shape != tuple(shape):
        mask = cv2.resize(mask.astype(np.float32), tuple(shape)[::-1], interpolation=cv2.INTER_LINEAR) > 0.5
    return mask & filled(tuple(shape), box)
