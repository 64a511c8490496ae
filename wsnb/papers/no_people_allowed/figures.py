"""What the notebooks of this chapter show. Functions return figures; pictures come through `wsnb.viz`.

What the notebooks show of IRNet: pairs, boundaries, displacements, walks, instances. Functions return figures.

What the reader's controls show, each a function of their values. Everything that does not depend on them is made at
the first call; pictures are worked on at about the size at which they are seen, so that an answer comes at once.
"""

from functools import cache

import cv2
import numpy as np
import torch

from wsnb import viz
from wsnb.data import read, transforms
from wsnb.files import read_index
from wsnb.ops import affinity, cam, crf, gradcam
from wsnb.papers.no_people_allowed import cams, data, inference, instances, pseudo_masks
from wsnb.papers.no_people_allowed.presets import grid_of, sized
from wsnb.viz.charts import chart
from wsnb.viz.pictures import known_truth
from wsnb.viz.tiles import SIDE, smaller, tiles

PALETTE = viz.PALETTE


def tag_counts_figure(items, tags, classes, most=30):
    """How many pictures have each tag; the commonest first."""
    counts = np.sum([tags(item) for item in items], axis=0)
    order = np.argsort(-counts, kind="stable")[:most]
    figure, (axis,) = chart(9.5, 2.8)
    axis.bar(range(len(order)), counts[order], color=PALETTE[(order + 1) % 255] / 255, edgecolor="k", linewidth=0.4)
    axis.set_xticks(range(len(order)), [classes[k + 1] for k in order], rotation=60, ha="right")
    axis.set(ylabel="pictures", title=f"tags of {len(items)} pictures")
    return figure


def picture_of(x):
    """A network's input [3, H, W] as uint8 [H, W, 3]."""
    return (transforms.denormalise(x).clamp(0, 1) * 255 + 0.5).byte().permute(1, 2, 0).numpy()


def named(tags, classes, most=3):
    """The names of the classes whose entry in TAGS is positive."""
    names = [classes[k + 1] for k in np.flatnonzero(np.asarray(tags) > 0)]
    return ", ".join(names[:most]) + (" ..." if len(names) > most else "") or "(no tag)"


def samples_figure(dataset, classes, count=8):
    """The first augmented pictures with their tags."""
    picked = [dataset[k] for k in range(min(count, len(dataset)))]
    return viz.grid([picture_of(s["x"]) for s in picked], [named(s["tags"], classes) for s in picked])


def tags_figure(items, found, classes):
    """Pictures with the tags that are more likely than not."""
    return viz.grid([read.image(item) for item in items], [named(f > 0.5, classes) for f in found])


def first_class(item, tags):
    """The picture's first tag as a list of one 0-based class; class 0 where there is none."""
    return np.flatnonzero(tags(item))[:1].tolist() or [0]


def methods_figure(net, item, tags, classes, p, device):
    """One class by CAM, Grad-CAM with both readings of the ReLU, Grad-CAM++."""
    image = sized(read.image(item), p.picture_side, p.picture_scale)
    x, keys = cam.squashed(image, 0)[1].to(device), first_class(item, tags)
    maps = {"CAM": cam.activation_map(net.deep(x), net.class_weights[keys])}
    maps["Grad-CAM"] = gradcam.gradcam(net, net.cam_layer, x, keys)
    maps["Grad-CAM, in-place"] = gradcam.gradcam(net, net.cam_layer, x, keys, inplace_relu=True)
    maps["Grad-CAM++"] = gradcam.gradcam(net, net.cam_layer, x, keys, True, True)
    shown = [heated(image, one[0].detach().cpu().numpy()) for one in maps.values()]
    return viz.grid([image, *shown], [classes[keys[0] + 1], *maps], columns=5)


def heated(image, maps):
    """The picture under a map [1, h, w], scaled to its own maximum."""
    return viz.heat(image, cam.over_joint_maximum(np.nan_to_num(maps))[0])


def scales_figure(net, item, tags, classes, p, device):
    """The map of one class at each scale, with its maximum against scale 1."""
    image = sized(read.image(item), p.picture_side, p.picture_scale)
    x, keys = cam.squashed(image, 0)[1].to(device), first_class(item, tags)
    method = "cam" if p.cam_method == "irn cam" else p.cam_method
    settings = cams.Settings(method, p.picture_side, p.picture_scale, tuple(p.cam_scales), p.inplace_relu)
    chosen = torch.as_tensor(keys, device=x.device)
    _, each = cam.multiscale(lambda x: cams.of_batch(net, x, chosen, settings), x, p.cam_scales,
                             [grid_of(image.shape)])
    each = [one.detach().cpu().numpy() for one in each]
    first = max(float(np.abs(each[0]).max()), 1e-12)
    titles = [f"scale {s:g}: {np.abs(one).max() / first:.2f} of the first" for s, one in
              zip(p.cam_scales, each, strict=True)]
    return viz.grid([heated(image, one) for one in each], titles, columns=4)


def normalise_figure(items, store, classes):
    """The classes of pictures under the joint maximum and under each class's own."""
    tiles, titles = [], []
    for item in items[:4]:
        image = read.image(item)
        keys, raw = cam.read(store, item.id, image.shape[:2])
        for k in range(min(2, len(keys))):
            for rule in ("joint", "per class"):
                tiles.append(viz.heat(image, pseudo_masks.normalised(raw, rule)[k]))
                titles.append(f"{classes[keys[k] + 1]}, {rule}")
    return viz.grid(tiles[:12], titles[:12]) if tiles else blank("no class on these pictures")


def blank(text):
    """An empty picture that says why."""
    return viz.grid([np.full((40, 300, 3), 255, np.uint8)], [text], columns=1, width=5)


def thresholded(store, item, threshold, size, rule="joint"):
    """Labels of stored maps at a threshold."""
    keys, raw = cam.read(store, item.id, size)
    return pseudo_masks.labels(pseudo_masks.normalised(raw, rule), keys + 1, threshold)


def kept_figure(items, store, classes, rules, chosen):
    """The maps of pictures and their labels at the chosen thresholds, for each preset."""
    tiles, titles = [], []
    for item in items:
        image = read.image(item)
        keys, raw = cam.read(store, item.id, image.shape[:2])
        top = pseudo_masks.normalised(raw, "joint").max(0) if len(keys) else np.zeros(image.shape[:2])
        tiles += [image, viz.heat(image, top)]
        titles += [named(np.isin(np.arange(len(classes) - 1), keys), classes), "strongest class"]
        for name, rule in rules.items():
            level = chosen.get(name, 64) / 256
            tiles.append(viz.overlay(image, thresholded(store, item, level, image.shape[:2], rule)))
            titles.append(f"{name}, above {level:.2f}")
    return viz.grid(tiles, titles, columns=2 + len(rules))


def thresholds_figure(recipes):
    """Which values of a map mean what, for each preset."""
    figure, axes = chart(9, 0.9 + 0.5 * len(recipes))
    axis, colours = axes[0], {"background": "0.55", "unsure": "0.9", "object": "C2"}
    for row, recipe in enumerate(recipes.values()):
        low, high = recipe.confident_background, recipe.confident_foreground
        parts = [("background", min(low, high)), ("unsure", max(0, high - low)), ("object", 1 - high)]
        start = 0.0
        for part, width in parts:
            axis.barh(row, width, left=start, color=colours[part], edgecolor="k", linewidth=0.4,
                      label=part if row == 0 else None)
            start += width
        axis.plot([high, high], [row - 0.45, row + 0.45], color="k")
    axis.set_yticks(range(len(recipes)), list(recipes))
    axis.set(xlabel="value of the strongest class map (line: foreground threshold)", xlim=(0, 1))
    axis.legend(ncols=3, loc="lower right", bbox_to_anchor=(1, 1.0))
    return figure


def label_crf_figure(item, store, recipe, field, c):
    """One picture: labels by the foreground threshold, by the background threshold, both after the CRF, combined."""
    image = sized(read.image(item), c.picture_side, c.picture_scale)
    keys, raw = cam.read(store, item.id, image.shape[:2])
    maps, numbers = pseudo_masks.normalised(raw, recipe.normalise), np.concatenate([[0], keys + 1])
    before = [crf.with_background(maps, t) for t in (recipe.foreground, recipe.background)]
    after = crf.refine_labels(image, before, len(numbers), field)
    tiles = [numbers[labels].astype(np.uint8) for labels in (*before, *after)]
    tiles.append(crf.combined(*(numbers[labels] for labels in after)))
    titles = ["foreground", "background", "foreground, CRF", "background, CRF", "confident"]
    return viz.grid([image, *(viz.overlay(image, one) for one in tiles)], ["picture", *titles], columns=3)


def fitted(label, size):
    """A label map at another size, by the nearest pixel."""
    return cv2.resize(label, size[::-1], interpolation=cv2.INTER_NEAREST)


def ladder_figure(items, truth_of, folders):
    """A row a picture: picture, ground truth (where there is one), the label map of each folder {title: folder}."""
    tiles = []
    for item in items:
        image = read.image(item)
        truth = known_truth(item, truth_of, image.shape[:2])
        found = [fitted(read_index(folder / f"{item.id}.png"), image.shape[:2]) for folder in folders.values()]
        tiles += [image, *(viz.overlay(image, mask) for mask in (truth, *found))]
    columns = 2 + len(folders)
    titles = ["picture", "ground truth", *folders] + [""] * (len(tiles) - columns)
    return viz.grid(tiles, titles, columns=columns)


def label_samples_figure(dataset, radius=0, grid="", count=4):
    """Augmented pictures with their label maps; unsure pixels are light."""
    tiles, titles = [], []
    for k in range(min(count, len(dataset))):
        sample = dataset[k]
        image, label = picture_of(sample["x"]), sample["label"].numpy().astype(np.uint8)
        if grid:
            label = fitted(data.quartered(sample["label"][None], grid)[0].numpy().astype(np.uint8), image.shape[:2])
        tiles += [image, viz.overlay(image, label)]
        titles += [sample["id"], "labels at stride 4" if grid else "labels"]
    return viz.grid(tiles, titles)


def variants_figure(nets, item, chosen, p, s, device):
    """Labels by each scale alone, then by all, for each preset."""
    image = read.image(item)
    tiles, titles = [], []
    for name, recipe in chosen.items():
        for scales in (*([scale] for scale in p.test_scales), p.test_scales):
            label = inference.label_picture(
                nets[name], image, recipe.test_style, s.seg_side, s.seg_base, scales, device
            )
            tiles.append(viz.overlay(image, label))
            titles.append(f"{name}, " + (f"scale {scales[0]:g}" if len(scales) == 1 else "all"))
    return viz.grid(tiles, titles, columns=1 + len(p.test_scales))


def segmented_figure(nets, items, chosen, p, device):
    """The same pictures labelled by each preset's segmenter at scale 1, shaped as it was trained: a row a preset."""
    tiles, titles = [], []
    for name, recipe in chosen.items():
        style = "smooth" if recipe.seg_style == "squashed" else "own shape"
        for k, item in enumerate(items):
            image = read.image(item)
            label = inference.label_picture(nets[name], image, style, p.seg_side, p.seg_base, (1.0,), device)
            tiles.append(viz.overlay(image, label))
            titles.append(name if k == 0 else "")
    return viz.grid(tiles, titles, columns=len(items))


def steps_figure(items, truth_of, stages, preset, level, rule):
    """The same pictures from step to step: truth, class maps above LEVEL, confident labels, walk, segmentation."""
    tiles = []
    for item in items:
        image = read.image(item)
        size = image.shape[:2]
        label = thresholded(stages["02_cam"] / "cams", item, level, size, rule)
        found = [stages["03_labels"] / f"{preset}_crf", stages["03_labels"] / preset, stages["05_walk"] / preset,
                 stages["07_inference"] / f"{preset}_train"]
        later = [fitted(read_index(folder / f"{item.id}.png"), size) for folder in found]
        tiles += [image, *(viz.overlay(image, mask) for mask in (known_truth(item, truth_of, size), label, *later))]
    titles = ["picture", "truth", "CAM", "CAM + CRF", "confident", "walk", "segmentation"]
    return viz.grid(tiles, titles + [""] * (len(tiles) - len(titles)), columns=len(titles), width=12)


def pairs_figure(radius):
    """The search directions, and the paths of the longest ones."""
    figure, (left, right) = chart(7, 3, 2)
    ends = np.array(affinity.directions(radius))
    left.scatter(ends[:, 1], ends[:, 0], s=18, color="C0")
    left.scatter([0], [0], s=40, color="k")
    left.set(title=f"{len(ends)} directions", xlabel="x", ylabel="y", aspect="equal")
    left.invert_yaxis()
    longest = affinity.path(*max(affinity.directions(radius), key=lambda d: (len(affinity.path(*d)), d)))
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
            edge, moved, _ = pseudo_masks.edge_of(net, image, side, scale)
            tiles += [viz.heat(image, edge), instances.wheel(moved, image.shape[:2])]
            titles += [f"{name}: boundaries", "displacements"] if k == 0 else ["", ""]
    return viz.grid(tiles, titles, columns=1 + 2 * len(nets))


def walked(net, item, store, walk, p, scale, steps):
    """(picture, keys, walked maps [K, H, W]) of one picture after 2^STEPS steps."""
    image = read.image(item)
    edge, _, cover = pseudo_masks.edge_of(net, image, p.walk_side, scale, p.walk_pad)
    keys, raw = cam.read(store, item.id, "stored")
    maps = pseudo_masks.normalised(raw, walk.normalise)
    if not len(keys):
        return image, keys, np.zeros((1, *image.shape[:2]), np.float32)
    spread = pseudo_masks.walked(maps, edge, walk.radius, walk.beta, steps)
    return image, keys, pseudo_masks.enlarged(spread, image.shape[:2], cover)


def walk_figure(net, item, store, walk, p, scale):
    """Boundaries, and the strongest class map after 0, 3, 6 and all doublings of the steps."""
    image = read.image(item)
    edge, *_ = pseudo_masks.edge_of(net, image, p.walk_side, scale, p.walk_pad)
    tiles, titles = [image, viz.heat(image, edge)], ["picture", "boundaries"]
    for steps in dict.fromkeys((0, min(3, walk.exp_times), min(6, walk.exp_times), walk.exp_times)):
        tiles.append(viz.heat(image, walked(net, item, store, walk, p, scale, steps)[2].max(0)))
        titles.append(f"{2**steps} steps")
    return viz.grid(tiles, titles, columns=3)


def centroids_figure(net, items, scale, pad, settings):
    """Displacements, and the groups of pixels that arrive at one place."""
    tiles, titles = [], []
    for item in items:
        image = read.image(item)
        edge, moved, _ = pseudo_masks.edge_of(net, image, 0, scale, pad)
        groups = instances.groups(moved, settings)
        coloured = PALETTE[fitted((groups * 37 % 254 + 1).astype(np.uint8), image.shape[:2])]
        tiles += [image, viz.heat(image, edge), instances.wheel(moved, image.shape[:2]), coloured]
        titles += ["picture", "boundaries", "displacements", f"{groups.max() + 1} groups"]
    return viz.grid(tiles, titles)


def instances_figure(items, detections, layout):
    """True instances and detections, numbered by colour."""
    tiles, titles = [], []
    for k, item in enumerate(items):
        image, true = read.image(item), read.instances(layout, item)
        found = instances.numbered(detections[item.id], image.shape[:2])
        tiles += [viz.overlay(image, np.where(true == 255, 0, true).astype(np.uint8)), viz.overlay(image, found)]
        titles += ["true instances", "detections"] if k < 2 else ["", ""]
    return viz.grid(tiles, titles) if tiles else blank("no picture with instances")


def threshold(items, store, rule="joint", side=SIDE):
    """A function of the threshold in %: the labels of some pictures from their class maps in STORE."""

    @cache
    def opened():
        images = [smaller(read.image(item), side) for item in items]
        stored = [cam.read(store, item.id, image.shape[:2]) for item, image in zip(items, images, strict=True)]
        return [(image, keys + 1, pseudo_masks.normalised(maps, rule))
                for image, (keys, maps) in zip(images, stored, strict=True)]

    def show(percent=30):
        return tiles([viz.overlay(image, pseudo_masks.labels(maps, keys, percent / 100))
                      for image, keys, maps in opened()])

    return show


def walk(net, item, store, rule, p, scale, most=8, side=SIDE):
    """A function of the doublings of the steps: a picture's labels above 0.3 after the walk.

    rule: `walking.Walk`; p: the stage's parameters. The walks of 0 to MOST doublings are made at the first call.
    """

    @cache
    def opened():
        image = read.image(item)
        edge, _, cover = pseudo_masks.edge_of(net, image, p.walk_side, scale, p.walk_pad)
        keys, raw = cam.read(store, item.id, "stored")
        small, maps = smaller(image, side), pseudo_masks.normalised(raw, rule.normalise)
        if not len(keys):
            return small, [np.zeros(small.shape[:2], np.uint8)] * (most + 1)
        walked = [pseudo_masks.walked(maps, edge, rule.radius, rule.beta, k) for k in range(most + 1)]
        enlarged = [pseudo_masks.enlarged(one, small.shape[:2], cover) for one in walked]
        return small, [pseudo_masks.labels(maps, keys + 1, 0.3) for maps in enlarged]

    def show(steps=most):
        image, labels = opened()
        return tiles([image, viz.overlay(image, labels[steps])], ["picture", f"{2**steps} steps"], 2, 640)

    return show
