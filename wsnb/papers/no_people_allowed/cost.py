"""What each stage of the chapter takes at its experiment's values, for `wsnb plan --estimate`."""

from wsnb.data import sizes
from wsnb.models import cost, heads
from wsnb.ops import affinity
from wsnb.papers.no_people_allowed import irnet, model


def labelled(p) -> int:
    """Pictures that get labels: 02 to 06."""
    return sizes.pictures(p.layout, p.train_split, p.limit)


def side(p, given) -> tuple[float, float]:
    """(height, width) of what a network sees: GIVEN x GIVEN, or the picture's own."""
    return (given, given) if given else (sizes.of(p).height, sizes.of(p).width)


def classifier(p) -> cost.Count:
    """Count the classifier."""
    return cost.count(model.build, (p.backbone, sizes.of(p).classes - 1, "random", p.extra, p.output_stride, p.freeze,
                                    p.detach_below, p.bias, "", p.learn_affine), (3, p.side, p.side))


def loaded(style) -> str:
    """Name the row of figures/rates.csv of a style of samples."""
    return "crop, strong" if style in ("strong", "squashed") else "crop, IRN"


def train(p) -> cost.Work:
    """Weigh the training."""
    samples = p.epochs * sizes.pictures(p.layout, p.classifier_split, p.limit)
    return cost.training(classifier(p), p.batch, samples, loaded(p.augmentation), 2 if p.optimiser == "adam" else 1)


def cams(p) -> cost.Work:
    """All scales and mirror images; Grad-CAM goes back once for each tag."""
    height, width = side(p, p.picture_side)
    pixels, found = labelled(p) * height * width / 1e6, classifier(p)
    work = cost.inference(found, pixels, (p.side, p.side), cost.variants(p.cam_scales))
    passes = 1 + sizes.of(p).tags * (found.flops / found.forward - 1) * (p.cam_method.startswith("gradcam"))
    return cost.together(cost.Work(flops=work.flops * (passes - 1)), work)


def labels(p) -> cost.Work:
    """Two fields of a picture share a lattice."""
    height, width = side(p, p.picture_side)
    through = labelled(p) * height * width / 1e6
    cores = {"picture": through, "dense CRF": 2 * through * p.crf_iterations * (1 + sizes.of(p).tags)}
    if p.grabcut_iterations:
        cores["GrabCut"] = labelled(p) * sizes.of(p).tags
    return cost.Work(cores=cores, kept=through)


def boundaries(p) -> cost.Count:
    """Count IRNet."""
    return cost.count(irnet.build, (p.irnet_backbone, p.centring, p.norms, "random", p.irnet_output_stride),
                      (3, p.irnet_side, p.irnet_side))


def train_irnet(p) -> cost.Work:
    """Affinities of all pairs of pixels at stride 4 within the radius: a maximum along a path, there and back."""
    pairs = len(affinity.displacements(p.irnet_radius)) * (p.irnet_side / 4) ** 2
    samples = p.irnet_epochs * labelled(p)
    return cost.training(boundaries(p), p.irnet_batch, samples, loaded(p.irnet_style), more=10 * p.irnet_radius * pairs)


def walk(p) -> cost.Work:
    """Walks at stride 4 in processes; the network sees a picture and its mirror image."""
    height, width = side(p, p.walk_side)
    through = labelled(p) * height * width / 1e6
    steps = through / 16 * sizes.of(p).tags * 2**p.walk_exp_times
    cores = {"IRNet's walk": steps, "dense CRF": through * p.walk_crf * (1 + sizes.of(p).tags)}
    return cost.inference(boundaries(p), through, (p.irnet_side, p.irnet_side), 2, **cores)


def segmenter(p) -> cost.Count:
    """Count the segmenter."""
    return cost.count(heads.build, (p.seg_head, p.seg_backbone, sizes.of(p).classes, "random", p.seg_output_stride,
                                    p.seg_width, p.seg_freeze), (3, p.seg_side, p.seg_side))


def train_segmenter(p) -> cost.Work:
    """Weigh the training of the segmenter."""
    samples = p.seg_epochs * labelled(p)
    rate = "crop, strong" if p.seg_style == "squashed" else "crop"
    return cost.training(segmenter(p), p.seg_batch, samples, rate)


def test(p) -> cost.Work:
    """Pictures of `test_split`, and with `ladder_scales` those that have masks among those that got labels."""
    height, width = side(p, 0 if p.test_style == "own shape" else p.seg_side)
    count = sizes.pictures(p.layout, p.test_split, p.test_limit)
    masked = sizes.pictures(p.layout, p.score_split) if p.score_split else 0
    area = count * cost.variants(p.test_scales) + masked * cost.variants(p.ladder_scales)
    return cost.inference(segmenter(p), (count + masked) * height * width / 1e6, (p.seg_side, p.seg_side),
                          area / (count + masked))


def instances(p) -> cost.Work:
    """Weigh the instances of the pictures that have some."""
    return cost.on_processors(sizes.pictures(p.layout, p.instances_split, p.instances_limit) * sizes.of(p).megapixels)


def evaluate(p) -> cost.Work:
    """Weigh the scoring, which reads label maps."""
    return cost.reading(sizes.pictures(p.layout, p.test_split, p.test_limit) * sizes.of(p).megapixels)


STAGES = {"01_classifier": train, "02_cam": cams, "03_labels": labels, "04_irnet": train_irnet, "05_walk": walk,
          "06_segmenter": train_segmenter, "07_inference": test, "08_evaluate": evaluate, "09_instances": instances}
