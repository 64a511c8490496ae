"""What the notebooks of this chapter show. Functions return figures; pictures come through `wsnb.plots`."""

import cv2
import numpy as np
import torch

from wsnb import plots
from wsnb.data import read, transforms
from wsnb.files import read_index
from wsnb.methods import cam, cam_store, gradcam, label_crf
from wsnb.papers.no_people_allowed import cams, pseudo, samples, tta
from wsnb.papers.no_people_allowed.recipes import grid_of, sized
from wsnb.plots.charts import chart
from wsnb.plots.pictures import known_truth

PALETTE = plots.PALETTE


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
    return plots.grid([picture_of(s["x"]) for s in picked], [named(s["tags"], classes) for s in picked])


def tags_figure(items, found, classes):
    """Pictures with the tags that are more likely than not."""
    return plots.grid([read.image(item) for item in items], [named(f > 0.5, classes) for f in found])


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
    return plots.grid([image, *shown], [classes[keys[0] + 1], *maps], columns=5)


def heated(image, maps):
    """The picture under a map [1, h, w], scaled to its own maximum."""
    return plots.heat(image, cam.over_joint_maximum(np.nan_to_num(maps))[0])


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
    return plots.grid([heated(image, one) for one in each], titles, columns=4)


def normalise_figure(items, store, classes):
    """The classes of pictures under the joint maximum and under each class's own."""
    tiles, titles = [], []
    for item in items[:4]:
        image = read.image(item)
        keys, raw = cam_store.read(store, item.id, image.shape[:2])
        for k in range(min(2, len(keys))):
            for rule in ("joint", "per class"):
                tiles.append(plots.heat(image, pseudo.normalised(raw, rule)[k]))
                titles.append(f"{classes[keys[k] + 1]}, {rule}")
    return plots.grid(tiles[:12], titles[:12]) if tiles else blank("no class on these pictures")


def blank(text):
    """An empty picture that says why."""
    return plots.grid([np.full((40, 300, 3), 255, np.uint8)], [text], columns=1, width=5)


def thresholded(store, item, threshold, size, rule="joint"):
    """Labels of stored maps at a threshold."""
    keys, raw = cam_store.read(store, item.id, size)
    return pseudo.labels(pseudo.normalised(raw, rule), keys + 1, threshold)


def kept_figure(items, store, classes, rules, chosen):
    """The maps of pictures and their labels at the chosen thresholds, for each preset."""
    tiles, titles = [], []
    for item in items:
        image = read.image(item)
        keys, raw = cam_store.read(store, item.id, image.shape[:2])
        top = pseudo.normalised(raw, "joint").max(0) if len(keys) else np.zeros(image.shape[:2])
        tiles += [image, plots.heat(image, top)]
        titles += [named(np.isin(np.arange(len(classes) - 1), keys), classes), "strongest class"]
        for name, rule in rules.items():
            level = chosen.get(name, 64) / 256
            tiles.append(plots.overlay(image, thresholded(store, item, level, image.shape[:2], rule)))
            titles.append(f"{name}, above {level:.2f}")
    return plots.grid(tiles, titles, columns=2 + len(rules))


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
    keys, raw = cam_store.read(store, item.id, image.shape[:2])
    maps, numbers = pseudo.normalised(raw, recipe.normalise), np.concatenate([[0], keys + 1])
    before = [label_crf.with_background(maps, t) for t in (recipe.foreground, recipe.background)]
    after = label_crf.refine_labels(image, before, len(numbers), field)
    tiles = [numbers[labels].astype(np.uint8) for labels in (*before, *after)]
    tiles.append(label_crf.combined(*(numbers[labels] for labels in after)))
    titles = ["foreground", "background", "foreground, CRF", "background, CRF", "confident"]
    return plots.grid([image, *(plots.overlay(image, one) for one in tiles)], ["picture", *titles], columns=3)


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
        tiles += [image, *(plots.overlay(image, mask) for mask in (truth, *found))]
    columns = 2 + len(folders)
    titles = ["picture", "ground truth", *folders] + [""] * (len(tiles) - columns)
    return plots.grid(tiles, titles, columns=columns)


def label_samples_figure(dataset, radius=0, grid="", count=4):
    """Augmented pictures with their label maps; unsure pixels are light."""
    tiles, titles = [], []
    for k in range(min(count, len(dataset))):
        sample = dataset[k]
        image, label = picture_of(sample["x"]), sample["label"].numpy().astype(np.uint8)
        if grid:
            label = fitted(samples.quartered(sample["label"][None], grid)[0].numpy().astype(np.uint8), image.shape[:2])
        tiles += [image, plots.overlay(image, label)]
        titles += [sample["id"], "labels at stride 4" if grid else "labels"]
    return plots.grid(tiles, titles)


def variants_figure(nets, item, chosen, p, s, device):
    """Labels by each scale alone, then by all, for each preset."""
    image = read.image(item)
    tiles, titles = [], []
    for name, recipe in chosen.items():
        for scales in (*([scale] for scale in p.test_scales), p.test_scales):
            label = tta.label_picture(nets[name], image, recipe.test_style, s.seg_side, s.seg_base, scales, device)
            tiles.append(plots.overlay(image, label))
            titles.append(f"{name}, " + (f"scale {scales[0]:g}" if len(scales) == 1 else "all"))
    return plots.grid(tiles, titles, columns=1 + len(p.test_scales))


def segmented_figure(nets, items, chosen, p, device):
    """The same pictures labelled by each preset's segmenter at scale 1, shaped as it was trained: a row a preset."""
    tiles, titles = [], []
    for name, recipe in chosen.items():
        style = "smooth" if recipe.seg_style == "squashed" else "own shape"
        for k, item in enumerate(items):
            image = read.image(item)
            label = tta.label_picture(nets[name], image, style, p.seg_side, p.seg_base, (1.0,), device)
            tiles.append(plots.overlay(image, label))
            titles.append(name if k == 0 else "")
    return plots.grid(tiles, titles, columns=len(items))


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
        tiles += [image, *(plots.overlay(image, mask) for mask in (known_truth(item, truth_of, size), label, *later))]
    titles = ["picture", "truth", "CAM", "CAM + CRF", "confident", "walk", "segmentation"]
    return plots.grid(tiles, titles + [""] * (len(tiles) - len(titles)), columns=len(titles), width=12)
