"""From boxes to semantic labels: the paper's recipes (section 3), each a rule for what a box's pixels are called.

Throughout, the smaller of two overlapping boxes lies in front, and what is outside all boxes is background (cue C1).
255 is "not known": it is not trained on.

Label maps of a data set by all recipes: one picture a job, resumable, the same for any number of processes.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsnb.data import read, weak
from wsnb.data.own import dataset
from wsnb.data.weak import VOID, draw_boxes
from wsnb.files import FileError, save_png
from wsnb.ops import grabcut, hierarchies, proposals

NAMES = {
    "rectangles": "Box",
    "box_i": "Box^i",
    "grabcut": "GrabCut",
    "grabcut_plus": "GrabCut+",
    "grabcut_plus_i": "GrabCut+^i",
    "mcg": "MCG",
    "m_and_g_plus": "M∩G+",
}  # as the paper's tables write them; "Box" are rectangles with recursive training
NEEDS = {"rectangles": (), "box_i": (), "grabcut": ("grabcut",), "grabcut_plus": ("grabcut_plus",),
         "grabcut_plus_i": ("votes",), "mcg": ("proposal",), "m_and_g_plus": ("proposal", "grabcut_plus")}
CONSTANTS = "constants of GrabCut+ and proposals chosen on some training pictures with their masks"


@dataclass(frozen=True)
class Settings:
    """Constants of the recipes; the defaults are the paper's, as far as it says.

    side            GrabCut works on a picture whose longer side has this many pixels; 0: its own size
    iterations      of GrabCut and GrabCut+
    inner           share of a box's area that Box^i keeps, around its middle
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
    margin: float = 0.4
    runs: int = 150
    shift: float = 0.05
    margins: tuple = (0.1, 0.6)
    certain: float = 0.7
    doubt: float = 0.2
    seed: int = 0


def annotation(recipe) -> str:
    """What a recipe's constants cost beside the boxes, for a Protocol: GrabCut+, whose weight of the pairwise term,
    margin and boundary scales the paper leaves open, and the book's proposals were set with masks."""
    return CONSTANTS if set(NEEDS.get(recipe, ())) - {"grabcut"} else ""


def settings_from(p) -> Settings:
    """Settings from a stage's parameters."""
    return Settings(p.grabcut_side, p.grabcut_iterations, p.inner_share, p.background_margin, p.jitter_runs,
                    p.jitter_shift, tuple(p.jitter_margins), p.votes_certain, p.votes_doubt, p.seed)


class Picture:
    """A picture with what several recipes share, each computed when it is first asked for.

    boundary: a map float [H, W] in [0, 1], such as HED's; None takes the book's own. candidates: proposals of
    `proposals.read_mcg`; None computes some.
    """

    def __init__(self, image, settings=Settings(), boundary=None, candidates=None):
        self.image, self.settings = image, settings
        self.shape = image.shape[:2]
        self._boundary, self._candidates, self._official = boundary, candidates, candidates is not None
        self._tree = self._graph = None

    @property
    def boundary(self):
        if self._boundary is None:
            self._boundary = hierarchies.boundary_map(self.image)
        return self._boundary

    @property
    def hierarchy(self):
        if self._tree is None:
            self._tree = hierarchies.ucm(self.boundary)
        return self._tree

    @property
    def graph(self):
        if self._graph is None:
            self._graph = grabcut.region_graph(self.image, self.boundary, self.hierarchy.leaves)
        return self._graph

    def object_mask(self, kind, box, key=0) -> np.ndarray:
        """What KIND ("grabcut", "grabcut_plus", "proposal", "rectangle", "ellipse": bool [H, W]; "votes": share of
        votes float32 [H, W]) makes of a box. KEY tells the boxes of a picture apart in what is drawn."""
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
            if self._candidates is None:
                self._candidates = proposals.nodes(self.hierarchy)
            return proposals.best_for_box(self._candidates, box, parts=1 if self._official else 3)
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


def inner_box(box, share) -> tuple[int, int, int, int]:
    """The box with SHARE of the area around the same middle, at least a pixel."""
    x0, y0, x1, y1 = box
    side = np.sqrt(share)
    across, down = max(1, round((x1 - x0) * side)), max(1, round((y1 - y0) * side))
    left, top = x0 + (x1 - x0 - across) // 2, y0 + (y1 - y0 - down) // 2
    return left, top, left + across, top + down


def label_map(recipe, picture: Picture, boxes, labels) -> np.ndarray:
    """The label map of a picture by a RECIPE of NAMES: uint8 [H, W], 0 background, classes, 255 not known.

    boxes int [N, 4] (x0, y0, x1, y1, half-open), labels [N]. No boxes: all background. Raises ValueError for an unknown
    recipe.
    """
    if recipe not in NAMES:
        raise ValueError(f"recipe {recipe!r}: choose of {', '.join(NAMES)}")
    boxes = np.asarray(boxes, np.int64).reshape(-1, 4)
    shape = picture.shape
    if recipe == "rectangles":
        return draw_boxes(shape, boxes, labels)
    drawn = np.zeros(shape, np.uint8)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for k in np.argsort(-areas, kind="stable"):
        box, whole = tuple(boxes[k].tolist()), grabcut.filled(shape, boxes[k])
        masks = [picture.object_mask(kind, box, int(k)) for kind in NEEDS[recipe]]
        if recipe == "box_i":
            object_, unknown = grabcut.filled(shape, inner_box(box, picture.settings.inner)) & whole, whole
        elif recipe == "grabcut_plus_i":
            object_ = masks[0] >= picture.settings.certain
            unknown = whole & (masks[0] >= picture.settings.doubt)
        elif recipe == "m_and_g_plus":
            object_, unknown = masks[0] & masks[1], whole
        else:
            object_, unknown = masks[0], np.zeros(shape, bool)
        drawn[unknown] = VOID
        drawn[object_] = labels[k]
    return drawn


@dataclass(frozen=True)
class Source:
    """Where boxes and the maps of other programs come from.

    layout        of the data set
    names         of its classes
    boundary_dir  folder of grey pictures ID.png from a boundary detector; "": the book's own boundaries
    mcg_dir       folder of official MCG files ID.mat; "": the book's own proposals
    """

    layout: str
    names: tuple
    boundary_dir: str = ""
    mcg_dir: str = ""


def boxes_of(source: Source, item) -> tuple[np.ndarray, np.ndarray]:
    """Boxes int64 [N, 4] (half-open) and labels [N] of a picture: from its annotation, else around its instances.

    Difficult boxes count: they too bound an object.
    """
    if item.boxes is not None:
        boxes, labels, _ = read.boxes(source.layout, item, source.names)
        return boxes, labels
    dataset.need_whole([item], "boxes from masks", "give boxes of every picture")
    mask = read.mask(source.layout, item, len(source.names))
    instances = read.instances(source.layout, item) if item.instances is not None else None
    return weak.boxes(mask, instances)


def need_maps(source: Source, items) -> None:
    """Raise FileError that names the pictures without a map in boundary_dir or mcg_dir, if these are given."""
    for name, folder, ending in (("boundary_dir", source.boundary_dir, ".png"), ("mcg_dir", source.mcg_dir, ".mat")):
        there = {path.name for path in Path(folder).glob(f"*{ending}")} if folder else set()
        missing = [f"{item.id}{ending}" for item in items if f"{item.id}{ending}" not in there] if folder else []
        if missing:
            shown = ", ".join(missing[:5]) + ", ..." * (len(missing) > 5)
            raise FileError(f"{name} {folder}: {len(missing)} of {len(items)} pictures have no file there: {shown}; "
                            f"write them, or take {name}='' for the book's own")


def picture_of(source: Source, item, settings) -> Picture:
    """A picture ready for the recipes, with other programs' maps where they are asked for."""
    image = read.image(item)
    boundary = candidates = None
    if source.boundary_dir:
        boundary = hierarchies.read_map(Path(source.boundary_dir) / f"{item.id}.png", image.shape[:2])
    if source.mcg_dir:
        path = Path(source.mcg_dir) / f"{item.id}.mat"
        candidates = proposals.read_mcg(path)
        if candidates.leaves.shape != image.shape[:2]:
            raise FileError(f"{path}: superpixels {candidates.leaves.shape}, its picture is {image.shape[:2]}; "
                            "fetch the proposals of these pictures")
    return Picture(image, settings, boundary, candidates)


def jobs(source: Source, items, wanted, settings, folder):
    """For each picture what `label` needs, or None where all its files are there."""
    for item in items:
        paths = {recipe: Path(folder) / recipe / f"{item.id}.png" for recipe in wanted}
        paths = {recipe: path for recipe, path in paths.items() if not path.exists()}
        yield (source, item, paths, settings) if paths else None


def label(job) -> None:
    """Write the missing label maps of one picture."""
    if job is None:
        return
    source, item, paths, settings = job
    picture = picture_of(source, item, settings)
    boxes, labels = boxes_of(source, item)
    for recipe, path in paths.items():
        save_png(path, label_map(recipe, picture, boxes, labels))
