"""What the reader's controls show, each a function of their values. Everything that does not depend on them is made at
the first call; pictures are drawn at about the size at which they are seen, so that an answer comes at once."""

from dataclasses import replace
from functools import cache

from wsnb.data import read
from wsnb.interact.pointing import Click
from wsnb.methods import hierarchies
from wsnb.papers.spml import views
from wsnb.papers.spml.labelling.views import neighbours_tiles
from wsnb.plots.tiles import SIDE, smaller, tiles


def cuts(image, tree, start):
    """A function of the height at which the tree is cut: regions in their mean colours."""
    small = smaller(image, 2 * SIDE)

    def show(height=start):
        found = hierarchies.regions(tree, height)
        drawn = views.segments_picture(small, views.enlarged(found, small.shape[:2]), mean=True)
        return tiles([small, drawn], ["picture", f"cut at {height:.2g}: {found.max() + 1} regions"], 2, 840)

    return show


def relations(scene, settings, start):
    """A function of a picture of the scene and a pixel (y, x in 0..1): a row a relation, segments that attract the
    pixel green, those that repel it red."""

    @cache
    def opened():
        return replace(scene, images=[smaller(image, SIDE) for image in scene.images])

    def show(picture=start[0], y=start[1], x=start[2]):
        drawn, titles, count = [], [], len(scene.images)
        for parts, row in views.relations_rows(opened(), settings, picture, y, x):
            drawn += row
            titles += ([*parts] if count >= 3 else ["\n".join(parts)]) + [""] * (count - (3 if count >= 3 else 1))
        return tiles(drawn, titles, count)

    return show


def neighbours(shown, start, cut, memory, items, classes):
    """A function of a picture of SHOWN and a pixel (y, x in 0..1): its segment, and the training segments nearest to
    it. A picture goes through the network CUT when it is first asked for."""

    @cache
    def segments(picture):
        image = read.image(shown[picture])
        return image, *cut(image)

    def show(picture=0, y=start[0], x=start[1]):
        pictures, titles = neighbours_tiles(*segments(picture), (y, x), memory, items, classes)
        return tiles([smaller(one, SIDE) for one in pictures], titles, 5)

    return show


def asked():
    """What a click on `neighbours` sets: the pixel, in the first tile; the others are not to be asked about."""
    return Click(lambda tile, x, y: {"y": round(y, 3), "x": round(x, 3)} if tile == 0 else None)


def pointed(scene):
    """What a click on a tile of `relations` sets: the picture, which all rows show alike, and the pixel."""
    return Click(lambda tile, x, y: {"picture": tile % len(scene.images), "y": round(y, 3), "x": round(x, 3)})
