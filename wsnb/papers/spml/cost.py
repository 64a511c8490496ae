"""What each stage of the chapter takes at its experiment's values, for `wsnb plan --estimate`."""

from wsnb.data import sizes
from wsnb.models import cost, heads
from wsnb.ops.segsort import random_walk
from wsnb.papers.spml import inference, losses, model

SEGMENTS = 250  # of a crop of 512 x 512 by 6 x 6 clusters and their regions: 4,000 prototypes of 16 crops
STRIDE = 8  # of the network


def learnt(p) -> int:
    """Count the pictures to learn from."""
    return sizes.pictures(p.layout, p.train_split, p.limit)


def tested(p) -> int:
    """Count the pictures to test on."""
    return sizes.pictures(p.layout, p.val_split, p.val_limit)


def seen(p, count) -> float:
    """Megapixels of COUNT pictures as the network sees them: the longer side at `image_size`, in whole windows."""
    height, width = sizes.of(p).height, sizes.of(p).width
    factor = p.image_size / max(height, width) if p.image_size else 1
    sides = [max(p.window, factor * one) if p.window else factor * one for one in (height, width)]
    return count * sides[0] * sides[1] / 1e6


def on_processors(count):
    """Weigh a stage that goes through COUNT(p) pictures, as its published run did."""
    return lambda p: cost.on_processors(count(p) * sizes.of(p).megapixels)


def reading(count):
    """Weigh a stage that reads COUNT(p) pictures or label maps."""
    return lambda p: cost.reading(count(p) * sizes.of(p).megapixels)


def classifier(backbone, output_stride, tags, freeze):
    """Build the network of 02."""
    return heads.Classifier(model.trunk(backbone, "random", output_stride)[0], tags, freeze)


def cams(p) -> cost.Work:
    """Weigh the training of the classifier, and its class activation maps."""
    found = cost.count(classifier, (p.backbone, p.output_stride, sizes.of(p).classes - 1, p.freeze),
                       (3, p.cam_crop, p.cam_crop))
    work = cost.training(found, p.cam_batch, p.cam_epochs * learnt(p), "crop, SPML")
    through = cost.inference(found, learnt(p) * sizes.of(p).megapixels, (p.cam_crop, p.cam_crop),
                             cost.variants(p.cam_scales))
    return cost.together(work, through)


def network(p) -> cost.Count:
    """Count the network of the chapter."""
    return cost.count(model.build, (p.backbone, p.head, p.dim, "random", p.norms, p.norm_momentum, p.output_stride,
                                    p.head_width, "", tuple(p.head_rates)), (3, p.crop, p.crop))


def relations(p) -> float:
    """Operations a crop of all relations: pixels by prototypes, those of the last batches among them, four times (once
    forward, again and twice back)."""
    used = sum(getattr(p, f"{name}_weight") > 0 for name in losses.TERMS)
    pixels, prototypes = (p.crop / STRIDE) ** 2, SEGMENTS * p.batch / p.devices * (1 + p.memory)
    return 4 * used * 2 * pixels * prototypes * p.dim


def embed(p) -> cost.Work:
    """Weigh the training of the embedding."""
    return cost.training(network(p), p.batch, p.iterations * p.batch, "crop, SPML", more=relations(p))


def applied(p, count, scales, flip, fields=0, **cores) -> cost.Work:
    """Weigh the network on COUNT pictures, and FIELDS dense CRFs over all classes of each."""
    of = sizes.of(p)
    dense = {"dense CRF": fields * count * of.megapixels * of.classes * p.crf_iterations} if fields else {}
    return cost.inference(network(p), seen(p, count), (p.crop, p.crop), cost.variants(scales, flip), **dense, **cores)


def pseudo_labels(p) -> cost.Work:
    """The walk on the device: affinities of all pairs of pixels, then products with the seeds of the classes."""
    scales = p.walk_scales if p.round == 1 else p.walk_scales_later
    iterations = inference.value_of_round(p.walk_crf, p.round)
    through = learnt(p) * sizes.of(p).megapixels
    nodes = 1e6 * seen(p, 1) / STRIDE**2
    products = len(random_walk.chebyshev(inference.value_of_round(p.walk_steps, p.round)))
    walk = learnt(p) * 2 * nodes**2 * (p.dim + products * (1 + sizes.of(p).tags))
    work = applied(p, learnt(p), scales, p.flip)
    return cost.together(work, cost.Work(flops=walk, cores={"dense CRF": through * iterations * sizes.of(p).classes}))


def prototypes(p) -> cost.Work:
    """Weigh the network on the training pictures."""
    return applied(p, learnt(p), p.prototype_scales, False)


def retrieve(p) -> cost.Work:
    """Votes of neighbours among all segments of the training pictures, for the pictures to label and those to test."""
    segments = p.retrieval_clusters[0] * p.retrieval_clusters[1]
    works = []
    for count, scales in ((tested(p) if p.round >= p.rounds else 0, p.retrieval_scales),
                          (learnt(p) if p.retrieve_labels else 0, p.label_scales)):
        queries = 2 * count * len(scales) * segments * learnt(p) * len(p.prototype_scales) * segments * p.dim
        works += [applied(p, count, scales, p.flip, 1), cost.Work(flops=queries)]
    return cost.together(*works)


def classify(p) -> cost.Work:
    """The network gives embeddings; the head alone learns."""
    samples, found = p.classifier_iterations * p.classifier_batch, network(p)
    return cost.Work(samples * found.forward, cost.CONTEXT + found.parameters, {"crop, SPML": samples}, training=True)


def infer(p) -> cost.Work:
    """Once for each of `heads`."""
    return cost.together(*len(p.heads) * [applied(p, tested(p), p.test_scales, p.flip, 1)])


STAGES = {"01_regions": on_processors(learnt), "02_cam": cams, "03_weak_masks": reading(learnt),
          "04_embedding": embed, "05_pseudo_labels": pseudo_labels, "06_prototypes": prototypes,
          "07_retrieval": retrieve, "08_classifier": classify, "09_inference": infer,
          "10_evaluate": reading(tested)}
