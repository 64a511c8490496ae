"""IRN's random crop: a window of the picture, or the picture somewhere on a larger canvas."""

import random


def crop_box(size, side, rng=random) -> tuple[int, ...]:
    """Where a picture of SIZE (h, w) lies in a SIDE x SIDE crop, and which part of it is taken.

    Returns canvas top, bottom, left, right, picture top, bottom, left, right. rng.randrange is drawn for the width
    first, then for the height.
    """
    drawn = []
    for length in (size[1], size[0]):
        kept, space = min(side, length), length - side
        start = rng.randrange(abs(space) + 1)
        drawn.append((0, kept, start, start + kept) if space > 0 else (start, start + kept, 0, kept))
    (left, right, from_left, to_right), (top, bottom, from_top, to_bottom) = drawn
    return top, bottom, left, right, from_top, to_bottom, from_left, to_right
