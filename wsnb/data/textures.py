"""Seeded textures: fields of 0..1 over a picture, and how to colour one. Synthetic scenes are painted with them.

Each pattern takes a random generator, a shape (height, width) and a period in pixels; angle and phase are drawn.
"""

import cv2
import numpy as np


def noise(rng, shape, period: float, octaves: int = 3) -> np.ndarray:
    """Smooth value noise, float32 [H, W] scaled to 0..1; each octave halves the period and the strength."""
    height, width = shape
    field = np.zeros(shape, np.float32)
    for octave in range(octaves):
        step = max(period / 2**octave, 1.0)
        grid = rng.random((int(height / step) + 3, int(width / step) + 3), np.float32)
        field += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) / 2**octave
    low, high = float(field.min()), float(field.max())
    return (field - low) / max(high - low, 1e-6)


def _axes(rng, shape, period: float, bend: float) -> tuple[np.ndarray, np.ndarray]:
    """Two perpendicular coordinates in turns (2 pi a period), rotated by a random angle, bent by smooth noise."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    angle = rng.uniform(0, np.pi)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    wave = bend * period * (noise(rng, shape, 4 * period, 1) - 0.5)
    turn = 2 * np.pi / period
    return (u + wave) * turn + rng.uniform(0, 6.28), (v + wave) * turn + rng.uniform(0, 6.28)


def _soft(field, sharp: float) -> np.ndarray:
    """A step at 0, as wide as 1 / SHARP."""
    return (0.5 + 0.5 * np.tanh(sharp * field)).astype(np.float32)


def stripes(rng, shape, period: float) -> np.ndarray:
    """Straight bands."""
    u, _ = _axes(rng, shape, period, bend=0.15)
    return _soft(np.sin(u), 2.5)


def waves(rng, shape, period: float) -> np.ndarray:
    """Bands that swing from side to side."""
    u, v = _axes(rng, shape, period, bend=0.3)
    return _soft(np.sin(u + 1.6 * np.sin(0.5 * v)), 2.0)


def dots(rng, shape, period: float) -> np.ndarray:
    """Round spots on a square grid."""
    u, v = _axes(rng, shape, period, bend=0.2)
    return _soft(np.cos(u) + np.cos(v) - 0.5, 3.0)


def checks(rng, shape, period: float) -> np.ndarray:
    """A chessboard; two fields to a period."""
    u, v = _axes(rng, shape, period, bend=0.1)
    return _soft(np.sin(u) * np.sin(v), 5.0)


def bricks(rng, shape, period: float) -> np.ndarray:
    """Courses of bricks with thin joints, every second course shifted by half a brick."""
    u, v = _axes(rng, shape, period, bend=0.05)
    shifted = 0.5 * u + np.pi / 2 * (np.floor(v / (2 * np.pi)) % 2)
    joint = np.minimum(np.abs(np.sin(v / 2)), np.abs(np.sin(shifted / 2)) * 1.6)
    return _soft(joint - 0.28, 8.0)


PATTERNS = {"stripes": stripes, "waves": waves, "dots": dots, "checks": checks, "bricks": bricks}


def colour(hue: float, saturation: float, value: float) -> np.ndarray:
    """RGB float32 [3] in 0..1 of a hue in turns, a saturation and a value in 0..1."""
    wheel = np.abs(((hue + np.array([0, 2 / 3, 1 / 3])) % 1) * 6 - 3) - 1
    return (value * (1 - saturation * (1 - np.clip(wheel, 0, 1)))).astype(np.float32)


def mix(field, dark, light) -> np.ndarray:
    """Colour a field [H, W]: 0 becomes DARK, 1 becomes LIGHT; float32 [H, W, 3]."""
    return dark + field[..., None] * (light - dark)
