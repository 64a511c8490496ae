"""What the reader's controls show, each a function of their values. Everything that does not depend on them is made at
the first call; pictures are drawn at about the size at which they are seen, so that an answer comes at once."""

from dataclasses import replace
from functools import cache

from wsnb.interact.pointing import Click
from wsnb.methods import hierarchies
from wsnb.papers.spml import views
from wsnb.plots.tiles import SIDE, smaller, tiles


def cuts(image, tree, start, side=2 * SIDE):
    """A function of the height at which the tree is cut: regions in their mean colours."""
    small = smaller(image, side)

    def show(height=start):
        found = hierarchies.regions(tree, height)
        drawn = views.segments_picture(small, views.enlarged(found, small.shape[:2]), mean=True)
        return tiles([small, drawn], ["picture", f"cut at {height:.2g}: {found.max() + 1} regions"], 2, 840)

    return show


def relations(scene, settings, start, side=SIDE):
    """A function of a picture of the scene and a pixel (y, x in 0..1): a row a relation, segments that attract the
    pixel green, those that repel it red."""

    @cache
    def opened():
        return replace(scene, images=[smaller(image, side) for image in scene.images])

    def show(picture=start[0], y=start[1], x=start[2]):
        drawn, titles, count = [], [], len(scene.images)
        for parts, row in views.relations_rows(opened(), settings, picture, y, x):
            drawn += row
            titles += ([*parts] if count >= 3 else ["\n".join(parts)]) + [""] * (count - (3 if count >= 3 else 1))
        return tiles(drawn, titles, count)

    return show


def pointed(scene):
    """What a click on a tile of `relations` sets: the picture, which all rows show alike, and the pixel."""
    return Click(lambda tile, x, y: {"picture": tile % len(scene.images), "y": round(y, 3), "x": round(x, 3)})
