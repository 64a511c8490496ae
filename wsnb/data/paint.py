"""Put painted things into a picture and keep its masks true: coverage, shading, shadow, occlusion, void borders."""

import cv2
import numpy as np

VOID = 255
FINE = 4  # outlines are rasterised this much finer than the picture, so that borders are soft


def cover(polygons, shape) -> np.ndarray:
    """Share of each pixel inside the polygons (even-odd rule: a polygon inside another is a hole), float32 [H, W].

    POLYGONS is a list of float [N, 2] of x, y in pixels, where 0 is the outer edge of the first pixel.
    """
    fine = np.zeros((shape[0] * FINE, shape[1] * FINE), np.uint8)
    cv2.fillPoly(fine, [np.round(polygon * FINE - 0.5).astype(np.int32) for polygon in polygons], 1)
    return fine.reshape(shape[0], FINE, shape[1], FINE).mean((1, 3)).astype(np.float32)


def blend(image, paint, alpha) -> np.ndarray:
    """PAINT over IMAGE (both float [H, W, 3]) where ALPHA [H, W] is 1."""
    return image + alpha[..., None] * (paint - image)


def shadow(image, alpha, offset, blur: float, strength: float) -> np.ndarray:
    """IMAGE [H, W, 3] darkened by the soft shadow of ALPHA [H, W], moved by OFFSET (x, y) pixels."""
    move = np.float32([[1, 0, offset[0]], [0, 1, offset[1]]])
    cast = cv2.warpAffine(alpha, move, alpha.shape[::-1])
    return image * (1 - strength * cv2.GaussianBlur(cast, (0, 0), blur)[..., None])


def roundness(alpha, light, depth: float) -> np.ndarray:
    """Brightness factor [H, W] that lets a flat silhouette look solid, lit from direction LIGHT (radians).

    The silhouette is lifted like a cushion, as high as the distance from its border up to DEPTH pixels.
    """
    height = np.minimum(cv2.distanceTransform((alpha > 0.5).astype(np.uint8), cv2.DIST_L2, 3), depth)
    height = cv2.GaussianBlur(height, (0, 0), max(depth / 3, 0.6))
    slope = np.cos(light) * cv2.Sobel(height, cv2.CV_32F, 1, 0) + np.sin(light) * cv2.Sobel(height, cv2.CV_32F, 0, 1)
    return 1 + np.clip(slope / 8, -1, 1) * 0.35


def void_border(instances, width: int = 1) -> np.ndarray:
    """True [H, W] within WIDTH pixels of a border between two instances or an instance and the ground."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return cv2.dilate(instances, cross, iterations=width) != cv2.erode(instances, cross, iterations=width)
