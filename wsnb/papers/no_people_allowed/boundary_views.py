"""What the notebooks show of IRNet: pairs, boundaries, displacements, walks, instances. Functions return figures."""

import numpy as np

from wsnb import plots
from wsnb.data import read
from wsnb.methods import cam_store, path_index
from wsnb.papers.no_people_allowed import pseudo, things, walking
from wsnb.papers.no_people_allowed.views import PALETTE, blank, fitted
from wsnb.plots.charts import chart


def pairs_figure(radius):
    """The search directions, and the paths of the longest ones."""
    figure, (left, right) = chart(7, 3, 2)
    ends = np.array(path_index.directions(radius))
    left.scatter(ends[:, 1], ends[:, 0], s=18, color="C0")
    left.scatter([0], [0], s=40, color="k")
    left.set(title=f"{len(ends)} directions", xlabel="x", ylabel="y", aspect="equal")
    left.invert_yaxis()
    longest = path_index.path(*max(path_index.directions(radius), key=lambda d: (len(path_index.path(*d)), d)))
    right.scatter(longest[:, 1], longest[:, 0], s=18, color="C1")
    right.plot([0, longest[0, 1]], [0, longest[0, 0]], color="k", linewidth=0.8)
    right.set(title=f"a path of {len(longest)} pixels", xlabel="x", aspect="equal")
    right.invert_yaxis()
    return figure


def irnet_figure(nets, items, side, scale):
    """Boundaries and displacements of pictures by each network {preset: IRNet}."""
    tiles, titles = [], []
    for k, item in enumerate(items):
        image = read.image(item)
        tiles.append(image)
        titles.append("picture" if k == 0 else "")
        for name, net in nets.items():
            edge, moved, _ = walking.edge_of(net, image, side, scale)
            tiles += [plots.heat(image, edge), things.wheel(moved, image.shape[:2])]
            titles += [f"{name}: boundaries", "displacements"] if k == 0 else ["", ""]
    return plots.grid(tiles, titles, columns=1 + 2 * len(nets))


def walked(net, item, store, walk, p, scale, steps):
    """(picture, keys, walked maps [K, H, W]) of one picture after 2^STEPS steps."""
    image = read.image(item)
    edge, _, cover = walking.edge_of(net, image, p.walk_side, scale, p.walk_pad)
    keys, raw = cam_store.read(store, item.id, "stored")
    maps = pseudo.normalised(raw, walk.normalise)
    if not len(keys):
        return image, keys, np.zeros((1, *image.shape[:2]), np.float32)
    spread = pseudo.walked(maps, edge, walk.radius, walk.beta, steps)
    return image, keys, pseudo.enlarged(spread, image.shape[:2], cover)


def walk_figure(net, item, store, walk, p, scale):
    """Boundaries, and the strongest class map after 0, 3, 6 and all doublings of the steps."""
    image = read.image(item)
    edge, *_ = walking.edge_of(net, image, p.walk_side, scale, p.walk_pad)
    tiles, titles = [image, plots.heat(image, edge)], ["picture", "boundaries"]
    for steps in dict.fromkeys((0, min(3, walk.exp_times), min(6, walk.exp_times), walk.exp_times)):
        tiles.append(plots.heat(image, walked(net, item, store, walk, p, scale, steps)[2].max(0)))
        titles.append(f"{2**steps} steps")
    return plots.grid(tiles, titles, columns=3)


def centroids_figure(net, items, scale, pad, settings):
    """Displacements, and the groups of pixels that arrive at one place."""
    tiles, titles = [], []
    for item in items:
        image = read.image(item)
        edge, moved, _ = walking.edge_of(net, image, 0, scale, pad)
        groups = things.groups(moved, settings)
        coloured = PALETTE[fitted((groups * 37 % 254 + 1).astype(np.uint8), image.shape[:2])]
        tiles += [image, plots.heat(image, edge), things.wheel(moved, image.shape[:2]), coloured]
        titles += ["picture", "boundaries", "displacements", f"{groups.max() + 1} groups"]
    return plots.grid(tiles, titles)


def instances_figure(items, detections, layout):
    """True instances and detections, numbered by colour."""
    tiles, titles = [], []
    for k, item in enumerate(items):
        image, true = read.image(item), read.instances(layout, item)
        found = things.numbered(detections[item.id], image.shape[:2])
        tiles += [plots.overlay(image, np.where(true == 255, 0, true).astype(np.uint8)), plots.overlay(image, found)]
        titles += ["true instances", "detections"] if k < 2 else ["", ""]
    return plots.grid(tiles, titles) if tiles else blank("no picture with instances")
