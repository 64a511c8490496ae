"""A trained network with all that its chain does after it, ready for pictures that are in no data set."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Predictor:
    """The last step of a chain as a function of a picture.

    label(image uint8 [H, W, 3]) -> uint8 [H, W]: at each pixel the number of its class. With `of_boxes` it is
    label(image, boxes [N, 4]), half-open inside the picture, and the numbers are those of the boxes, from 1.

    classes     names of the classes 0, 1, ...
    palette     their colours, uint8 [256, 3]
    background  the class that is drawn as the bare picture; None: there is none
    files       (stage, file) of all networks that it loaded
    same_as     (stage, folder) of the chain's own label maps that are made in this way
    scored      protocol fields that single out the run's results of this network; empty: all are
    longest     pixels of the longer side that it takes; 0: any
    instances   instances(image) -> (ids uint16 [H, W], classes of the ids ascending), where the chain has them
    """

    label: Callable
    classes: tuple
    palette: np.ndarray
    background: int | None
    files: tuple
    same_as: tuple
    scored: dict = field(default_factory=dict)
    longest: int = 0
    of_boxes: bool = False
    instances: Callable | None = None
