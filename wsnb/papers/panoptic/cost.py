"""What each stage of the chapter takes at its experiment's values, for `wsnb plan --estimate`."""

from wsnb.data import sizes
from wsnb.models import backbones, cost, heads
from wsnb.papers.panoptic import data


def pictures(p) -> int:
    """Count the pictures to learn from."""
    extra = sizes.pictures(p.layout, p.extra_split, p.limit) if p.extra_split else 0
    return sizes.pictures(p.layout, p.train_split, p.limit) + extra


def learnt(p) -> int:
    """Count the pictures of 06: those of extra, which have no whole mask, only where some labels are weak."""
    return sizes.pictures(p.layout, p.train_split, p.limit) if p.label_source == "full" else pictures(p)


def tested(p) -> int:
    """Count the pictures to test on."""
    return sizes.pictures(p.layout, p.val_split, p.val_limit)


def rate(p) -> str:
    """Name the row of figures/rates.csv of this layout's crops."""
    return "street crop" if p.layout == "cityscapes" else "crop"


def on_processors(count):
    """Weigh a stage that goes through COUNT(p) pictures, as its published run did."""
    return lambda p: cost.on_processors(count(p) * sizes.of(p).megapixels)


def classifier(backbone, output_stride, classes, freeze):
    """Build the network of 02."""
    return heads.Classifier(backbones.build(backbone, output_stride), classes, freeze)


def reading(count):
    """Weigh a stage that reads COUNT(p) pictures or label maps."""
    return lambda p: cost.reading(count(p) * sizes.of(p).megapixels)


def crops(p) -> int:
    """Count the crops of a picture."""
    size = sizes.of(p)
    return len(data.windows((size.height, size.width), data.crop_size((size.height, size.width),
                                                                      (p.crop_height, p.crop_width))))


def cams(p) -> cost.Work:
    """Training on crops; then Grad-CAM of every crop, and of its mirror image, for each of its tags: both passes."""
    found = cost.count(classifier, (p.backbone, p.output_stride, sizes.of(p).classes, p.freeze), (3, *p.crop_input))
    every = pictures(p) * crops(p)
    through, passes = pictures(p) * sizes.of(p).megapixels, (2 if p.cam_flip else 1) * every * found.flops
    return cost.together(cost.training(found, p.cam_batch, p.cam_epochs * every, rate(p)),
                         cost.Work(flops=passes, cores={"picture": through}, kept=through))


def segmenter(p) -> cost.Count:
    """Count the segmenter."""
    return cost.count(heads.build, (p.head, p.backbone, sizes.of(p).classes, "random", p.output_stride, p.width,
                                    p.freeze, "", tuple(p.head_rates)), (3, p.crop, p.crop))


def train(p) -> cost.Work:
    """Weigh the training."""
    epochs = p.epochs if p.round == 1 else p.later_epochs
    return cost.training(segmenter(p), p.batch, epochs * (learnt(p) // p.batch) * p.batch, rate(p))


def bound(p) -> cost.Work:
    """As long as all rounds of 06 together, on the whole masks of train."""
    rounds = sum(stage.startswith("06_train") for stage in p.stages)
    epochs = p.bound_epochs or p.epochs + (rounds - 1) * p.later_epochs
    count = sizes.pictures(p.layout, p.train_split, p.bound_limit or p.limit)
    work = cost.training(segmenter(p), p.batch, epochs * (count // p.batch) * p.batch, rate(p))
    return cost.together(work, applied(p, tested(p)))


def applied(p, count) -> cost.Work:
    """Weigh the segmenter on COUNT pictures."""
    through = count * sizes.of(p).megapixels
    return cost.inference(segmenter(p), through, (p.crop, p.crop), cost.variants(p.scales, p.flip),
                          **{"predictions written": through})


def predict(p) -> cost.Work:
    """Pictures to learn from, for the next round, where there is one, and those to test on."""
    return applied(p, (0 if p.label_source == "full" else pictures(p)) + tested(p))


STAGES = {"01_crops": reading(pictures), "02_cams": cams, "03_boxes": reading(pictures),
          "04_masks": on_processors(pictures), "05_labels": on_processors(pictures), "06_train": train,
          "07_predict": predict, "08_iterate": on_processors(pictures), "09_instances": on_processors(tested),
          "10_evaluate": reading(tested), "11_bound": bound}
