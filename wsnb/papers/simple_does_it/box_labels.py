"""Labels from boxes: the paper's label methods (section 3), each a rule for the pixels of one box.

Throughout, the smaller of two overlapping boxes lies in front, and all pixels outside the boxes are background (cue
C1). 255 is "not known": it is not trained on.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from wsnb.data import read, weak
from wsnb.data.item import image_shape
from wsnb.data.own import dataset
from wsnb.data.weak import VOID
from wsnb.files import FileError
from wsnb.ops import boundaries, grabcut, hierarchies, proposals

CONSTANTS = "constants of GrabCut+ and proposals chosen on some training pictures with their masks"
NODES = ("pixels", "regions")


@dataclass(frozen=True)
class Settings:
    """Constants of the label methods; the defaults are the paper's, as far as it says.

    side            GrabCut works on a picture whose longer side has this many pixels; 0: its own size
    iterations      of GrabCut and GrabCut+
    inner           share of a box's area that Box^i keeps, around its middle
    nodes           of GrabCut+'s graph: "pixels", or "regions", the fast choice
    margin          GrabCut+ learns the background from this share of the box's sides around it; 0: from all
    runs            jittered GrabCut+ a box for GrabCut+^i
    shift           largest move of a box's sides, share of its size
    margins         range of the background region in the runs
    certain, doubt  share of votes from which a pixel is object, and below which it is background
    seed            of everything drawn; a label depends on nothing that was computed before
    """

    side: int = 0
    iterations: int = 5
    inner: float = 0.2
    nodes: str = "pixels"
    margin: float = 0.4
    runs: int = 150
    shift: float = 0.05
    margins: tuple = (0.1, 0.6)
    certain: float = 0.7
    doubt: float = 0.2
    seed: int = 0

    def __post_init__(self):
        if self.nodes not in NODES:
            raise ValueError(f"grabcut_plus_nodes {self.nodes!r}: choose of {', '.join(NODES)}")


def settings_from(p) -> Settings:
    """Make the settings of a stage's parameters."""
    return Settings(p.grabcut_side, p.grabcut_iterations, p.inner_share, p.grabcut_plus_nodes, p.background_margin,
                    p.jitter_runs, p.jitter_shift, tuple(p.jitter_margins), p.votes_certain, p.votes_doubt, p.seed)


class Picture:
    """A picture with the maps that several methods share, each computed when it is first asked for.

    detect: a function from the picture to its boundary map float [H, W] in [0, 1]. candidates: proposals of
    `proposals.read_mcg`; None computes some.
    """

    def __init__(self, image, settings=Settings(), detect=boundaries.boundary_map, candidates=None):
        self.image, self.settings, self.shape, self.detect = image, settings, image.shape[:2], detect
        self.parts = 3 if candidates is None else 1  # regions that a proposal is joined from
        if candidates is not None:
            self.candidates = candidates

    @cached_property
    def boundary(self):
        return self.detect(self.image)

    @cached_property
    def hierarchy(self):
        return hierarchies.ucm(self.boundary)

    @cached_property
    def graph(self):
        if self.settings.nodes == "pixels":
            return grabcut.pixel_graph(self.image, self.boundary)
        return grabcut.region_graph(self.image, self.boundary, self.hierarchy.leaves)

    @cached_property
    def candidates(self):
        return proposals.nodes(self.hierarchy)

    def object_mask(self, kind, box, key=0) -> np.ndarray:
        """The object of a box, bool [H, W], by one KIND of mask: "rectangle", "ellipse", "grabcut", "grabcut_plus" or
        "proposal"; "votes" gives the share of votes, float32 [H, W]. KEY tells the boxes of a picture apart in random
        draws."""
        s = self.settings
        seed = (s.seed * 1000003 + key) % 2**31
        if kind == "rectangle":
            return grabcut.filled(self.shape, box)
        if kind == "ellipse":
            return ellipse(self.shape, box)
        if kind == "grabcut":
            small, boxes = grabcut.reduced(self.image, [box], s.side)
            return grabcut.enlarged(grabcut.grabcut_label(small, boxes[0], seed, s.iterations), self.shape, box)
        if kind == "grabcut_plus":
            return grabcut.grabcut_plus_label(self.graph, box, seed, s.iterations, s.margin)
        if kind == "proposal":
            return proposals.best_for_box(self.candidates, box, self.parts)
        if kind == "votes":
            return votes(self.graph, box, s, seed)
        raise ValueError(f"kind {kind!r}: rectangle, ellipse, grabcut, grabcut_plus, proposal or votes")


def ellipse(shape, box) -> np.ndarray:
    """The ellipse that touches the box's four sides: bool [H, W]."""
    x0, y0, x1, y1 = box
    y, x = np.mgrid[: shape[0], : shape[1]]
    across, down = max(x1 - x0, 1) / 2, max(y1 - y0, 1) / 2
    inside = ((x + 0.5 - (x0 + x1) / 2) / across) ** 2 + ((y + 0.5 - (y0 + y1) / 2) / down) ** 2 <= 1
    return inside & grabcut.filled(shape, box)


def inner_box(box, share) -> tuple[int, int, int, int]:
    """The box with SHARE of the area around the same middle, at least a pixel."""
    x0, y0, x1, y1 = box
    side = np.sqrt(share)
    across, down = max(1, round((x1 - x0) * side)), max(1, round((y1 - y0) * side))
    left, top = x0 + (x1 - x0 - across) // 2, y0 + (y1 - y0 - down) // 2
    return left, top, left + across, top + down


def votes(graph, box, settings, seed) -> np.ndarray:
    """GrabCut+^i: the share of jittered GrabCut+ runs in which a pixel is object, float32 [H, W], 0 outside the box.

    Each run moves the box's four sides by up to `shift` of its size and looks at another width of background around it.
    """
    rng = np.random.default_rng(seed)
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    total = np.zeros(graph.regions.shape, np.float32)
    for run in range(settings.runs):
        move = rng.uniform(-settings.shift, settings.shift, 4) * (width, height, width, height)
        moved = np.round(np.array(box) + move).astype(int)
        moved[2:] = np.maximum(moved[2:], moved[:2] + 1)
        total += grabcut.grabcut_plus_label(graph, moved, seed + run, settings.iterations,
                                                 rng.uniform(*settings.margins), within=box)
    return total / max(settings.runs, 1)


def rectangles(picture, box, key):
    """Box: every pixel of the box is object."""
    return grabcut.filled(picture.shape, box), None


def box_i(picture, box, key):
    """Box^i: the inner part of the box is object, the rest of it not known."""
    whole = grabcut.filled(picture.shape, box)
    return whole & grabcut.filled(picture.shape, inner_box(box, picture.settings.inner)), whole


def grabcut_only(picture, box, key):
    """GrabCut: its mask is object."""
    return picture.object_mask("grabcut", box, key), None


def grabcut_plus(picture, box, key):
    """GrabCut+: its mask is object."""
    return picture.object_mask("grabcut_plus", box, key), None


def grabcut_plus_i(picture, box, key):
    """GrabCut+^i: pixels with many votes of jittered runs are object, those with some votes not known."""
    share = picture.object_mask("votes", box, key)
    doubtful = grabcut.filled(picture.shape, box) & (share >= picture.settings.doubt)
    return share >= picture.settings.certain, doubtful


def mcg(picture, box, key):
    """MCG: the proposal that fits the box best is object."""
    return picture.object_mask("proposal", box, key), None


def m_and_g_plus(picture, box, key):
    """M∩G+: object where the proposal and GrabCut+ agree, the rest of the box is not known."""
    agreed = picture.object_mask("proposal", box, key) & picture.object_mask("grabcut_plus", box, key)
    return agreed, grabcut.filled(picture.shape, box)


METHODS = {"rectangles": rectangles, "box_i": box_i, "grabcut": grabcut_only, "grabcut_plus": grabcut_plus,
           "grabcut_plus_i": grabcut_plus_i, "mcg": mcg, "m_and_g_plus": m_and_g_plus}
NAMES = {"rectangles": "Box", "box_i": "Box^i", "grabcut": "GrabCut", "grabcut_plus": "GrabCut+",
         "grabcut_plus_i": "GrabCut+^i", "mcg": "MCG", "m_and_g_plus": "M∩G+"}  # as the paper's tables write them
TUNED = ("grabcut_plus", "grabcut_plus_i", "mcg", "m_and_g_plus")


def annotation(method) -> str:
    """State for a Protocol which annotation the constants of a label method cost beside the boxes.

    The paper leaves open GrabCut+'s weight of the pairwise term, its margin and the boundary scales; these, and the
    book's proposals, were set with masks.
    """
    return CONSTANTS if method in TUNED else ""


def label_map(method, picture: Picture, boxes, labels) -> np.ndarray:
    """Label a picture by one of the METHODS: uint8 [H, W], 0 background, classes, 255 not known.

    boxes int [N, 4] (x0, y0, x1, y1, half-open), labels [N]. No boxes: all background. Raises ValueError for an unknown
    method.
    """
    if method not in METHODS:
        raise ValueError(f"label method {method!r}: choose of {', '.join(METHODS)}")
    boxes = np.asarray(boxes, np.int64).reshape(-1, 4)
    drawn = np.zeros(picture.shape, np.uint8)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for k in np.argsort(-areas, kind="stable"):
        object_, unknown = METHODS[method](picture, tuple(boxes[k].tolist()), int(k))
        if unknown is not None:
            drawn[unknown] = VOID
        drawn[object_] = labels[k]
    return drawn


@dataclass(frozen=True)
class Inputs:
    """Where boxes and the maps of other programs come from.

    layout        of the data set
    names         of its classes
    boundaries    "builtin", "hed", or a folder of grey pictures ID.png from another detector
    mcg_dir       folder of official MCG files ID.mat; "": the book's own proposals
    """

    layout: str
    names: tuple
    boundaries: str = "builtin"
    mcg_dir: str = ""


def boxes_of(inputs: Inputs, item) -> tuple[np.ndarray, np.ndarray]:
    """Boxes int64 [N, 4] (half-open) and labels [N] of a picture: from its annotation, else around its instances.

    Difficult boxes count: they too bound an object.
    """
    if item.boxes is not None:
        boxes, labels, _ = read.boxes(inputs.layout, item, inputs.names)
        return boxes, labels
    dataset.need_whole([item], "boxes from masks", "give boxes of every picture")
    mask = read.mask(inputs.layout, item, len(inputs.names))
    instances = read.instances(inputs.layout, item) if item.instances is not None else None
    return weak.boxes(mask, instances)


def need_maps(inputs: Inputs, items) -> None:
    """Raise FileError if HED is asked for and not installed, or that names the pictures without a map in the folder
    of boundaries or in mcg_dir, if these are given."""
    boundaries.need(inputs.boundaries, items)
    if inputs.mcg_dir:
        boundaries.need_files("mcg_dir", inputs.mcg_dir, ".mat", items, "'' for the book's own")


def picture_of(inputs: Inputs, item, settings) -> Picture:
    """Read a picture for the label methods, with other programs' maps where they are asked for."""
    image = read.image(item)
    candidates = mcg_of(inputs.mcg_dir, item) if inputs.mcg_dir else None
    return Picture(image, settings, boundaries.detector(inputs.boundaries, item, image.shape[:2]), candidates)


def mcg_of(folder, item) -> proposals.Candidates:
    """Read the official MCG proposals FOLDER/ID.mat of a picture. Raises FileError for those of another size."""
    path, shape = Path(folder) / f"{item.id}.mat", image_shape(item)
    candidates = proposals.read_mcg(path)
    if candidates.leaves.shape != shape:
        raise FileError(f"{path}: superpixels {candidates.leaves.shape}, its picture is {shape}; "
                        "fetch the proposals of these pictures")
    return candidates


def label_maps_of(item, inputs: Inputs, methods, settings) -> list[np.ndarray]:
    """Label a picture of a data set by each of the METHODS."""
    picture, (boxes, labels) = picture_of(inputs, item, settings), boxes_of(inputs, item)
    return [label_map(method, picture, boxes, labels) for method in methods]
