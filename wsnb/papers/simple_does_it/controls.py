"""What the reader's controls show, each a function of their values. Everything that does not depend on them is made at
the first call; pictures are worked on at about the size at which they are seen, so that an answer comes at once."""

from functools import cache

from wsnb import plots
from wsnb.interact.pointing import Drag
from wsnb.methods import grabcut
from wsnb.papers.simple_does_it import recipes
from wsnb.papers.simple_does_it.views import outlined, tinted
from wsnb.plots.tiles import SIDE, smaller, tiles

CUT_SIDE = 180  # pixels: GrabCut's time goes with them, and it has to answer on slow machines too


def box_in(shape, left, top, right, bottom) -> tuple[int, int, int, int]:
    """The box (x0, y0, x1, y1, half-open, a pixel at least) of four sides in % of a picture of SHAPE, in any order."""
    height, width = shape[:2]
    x, y = sorted((round(left / 100 * width), round(right / 100 * width))), sorted(
        (round(top / 100 * height), round(bottom / 100 * height)))
    x0, y0 = min(x[0], width - 1), min(y[0], height - 1)
    return x0, y0, max(x[1], x0 + 1), max(y[1], y0 + 1)


def box_for_networks(image, kinds, probability, side=SIDE):
    """A function of left, top, right, bottom (in %): what each network of KINDS takes for the object in that box.

    probability(kind, image, box) -> float [H, W]; it sees the picture as it is, which is drawn smaller.
    """

    def show(left=10, top=10, right=90, bottom=90):
        box = box_in(image.shape, left, top, right, bottom)
        pictures = [image, *(plots.heat(image, probability(kind, image, box)) for kind in kinds)]
        return tiles([smaller(outlined(one, [box]), 2 * side) for one in pictures],
                     ["box", *(f"trained on {kind} labels" for kind in kinds)], 3)

    return show


def drawn():
    """What a box drawn on any of the tiles, which show one picture, sets: the four sides in %."""
    return Drag(lambda tile, *sides: {name: round(100 * share) for name, share in
                                      zip(("left", "top", "right", "bottom"), sides, strict=True)})


def box_by_hand(image, settings, side=CUT_SIDE):
    """A function of left, top, right, bottom (in %) that shows GrabCut, the proposal and their consensus in that box.

    Everything is computed on a picture whose longer side has SIDE pixels, the hierarchy once, and GrabCut takes two
    iterations instead of five, so that it answers at once.
    """

    @cache
    def opened():
        picture = recipes.Picture(smaller(image, side), settings)
        picture.object_mask("proposal", (0, 0, 2, 2))  # computes the hierarchy
        return picture

    def show(left=20, top=20, right=80, bottom=80):
        picture = opened()
        box = box_in(picture.shape, left, top, right, bottom)
        cut = grabcut.grabcut_label(picture.image, box, settings.seed, iterations=2)
        proposal = picture.object_mask("proposal", box)
        masks = (cut, proposal, cut & proposal)
        pictures = [outlined(picture.image, [box]), *(tinted(picture.image, mask) for mask in masks)]
        return tiles(pictures, ["box", "GrabCut, 2 iterations", "proposal", "consensus"])

    return show
