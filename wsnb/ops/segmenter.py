"""A segmenter trained on label maps of any origin, by the parameters of a stage: network, training, predictions."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import torch

from wsnb.data import read
from wsnb.files import load_torch, save_torch
from wsnb.models import backbone_wrapper, backbones, cost, distributed, heads, training
from wsnb.ops import label_maps, segmentation


def build(p, n_classes):
    """Build the segmenter of a stage's parameters; returns (segmenter, where its weights came from)."""
    return heads.build(p.head, p.backbone, n_classes, p.weights, p.output_stride, p.width, p.freeze,
                       rates=p.head_rates)


def settings(p, **more) -> SimpleNamespace:
    """Complete the parameters P of a stage by MORE, and by the usual values of those that a stage may lack: a learning
    rate that falls by `poly`, biases that learn as fast as weights."""
    return SimpleNamespace(**{"lr_schedule": "poly", "bias_multiplier": 1.0, **vars(p), **more})


def epochs_of(steps, n_pictures, batch) -> int:
    """Count the passes over N_PICTURES, in batches of BATCH, that make STEPS at least."""
    return -(-steps // max(1, n_pictures // batch))


def rate_of(p):
    """Choose the factor of the learning rate, a function of step and steps.

    "poly"; or "step": a tenth after `lr_drop` steps (the paper's). Raises ValueError.
    """
    if p.lr_schedule not in ("poly", "step"):
        raise ValueError(f"lr_schedule {p.lr_schedule!r}: poly or step")
    return segmentation.poly if p.lr_schedule == "poly" else lambda step, steps: 1.0 if step < p.lr_drop else 0.1


def train(p, items, label_of, n_classes, folder, device, progress, log):
    """Train a segmenter on LABEL_OF(item): (network in evaluation mode, origin of its weights, losses of the epochs).
    With several GPUs it comes back in main memory.

    FOLDER keeps the checkpoint, and network.pth at the end; a finished network is loaded, a stopped one continues.
    """
    folder = Path(folder)
    training.seed_everything(p.seed, p.threads, p.deterministic)
    network, origin = build(p, n_classes)
    heads.warn_of_dead_taps(heads.rates_of(p.head, network.stride, p.head_rates), p.crop, network.stride, log)
    network = network.to(memory_format=torch.channels_last)
    if (folder / "network.pth").exists():
        backbones.fill(network, load_torch(folder / "network.pth"), str(folder / "network.pth"))
        return network.to(distributed.build_device(p.gpus, device)).eval(), origin, load_torch(folder / "epochs.pt")
    network = network.to(distributed.build_device(p.gpus, device))
    groups = backbone_wrapper.parameter_groups(network, p.lr, p.weight_decay, p.bias_multiplier, new_multiplier=10)
    optimiser = backbone_wrapper.optimiser(p.optimiser, groups)

    def loader(epoch, first):
        crops = segmentation.LabelledCrops(items, label_of, p.crop, p.seed, epoch, tuple(p.train_scales), base=p.base)
        order = training.epoch_order(len(items), p.seed, epoch)
        return training.batches(crops, order, p.batch, first, workers=p.workers)

    def step(batch):
        return segmentation.loss(network(batch["x"].to(memory_format=torch.channels_last)), batch["label"])

    network.train()
    run = training.Training(folder / "training.pt", log=log, network=network, optimiser=optimiser)
    steps = max(1, len(items) // p.batch)
    segmentation.fit(run, optimiser, step, loader, p.epochs, steps, progress, rate_of(p), device=device, gpus=p.gpus,
                     speed=p.speed)
    epochs = run.kept.get("epochs", [])
    save_torch(folder / "epochs.pt", epochs)
    save_torch(folder / "network.pth", network.state_dict())
    (folder / "training.pt").unlink(missing_ok=True)
    return network.eval(), origin, epochs


def load(p, n_classes, path, device):
    """Load the network that `train` wrote to PATH with the parameters P, in evaluation mode. Raises FileError."""
    network, _ = heads.build(p.head, p.backbone, n_classes, "random", p.output_stride, p.width, p.freeze,
                             rates=p.head_rates)
    backbones.fill(network, load_torch(path), str(path))
    return network.to(device, memory_format=torch.channels_last).eval()


def scorer(p, network, device):
    """Make scores_of(image) -> class probabilities float32 [C, H, W] at test."""
    return lambda image: segmentation.predict(network, image, p.scales, p.flip, device, base=p.base)


def write_predictions(p, network, items, device, folders, crf):
    """Write label maps of the predictions of NETWORK on DEVICE into the first of FOLDERS, after the CRF into the
    second, if there is one; yield once a picture."""
    scores_of = scorer(p, network, device)

    def prepare(item):
        image = read.image(item)
        return image, scores_of(image)

    labels_of = partial(label_maps.winners, crf=replace(crf, device=device) if len(folders) > 1 else None)
    return label_maps.write_labels(labels_of, items, folders, p.workers, prepare)


def _count(p, n_classes) -> cost.Count:
    arguments = (p.head, p.backbone, n_classes, "random", p.output_stride, p.width, p.freeze, "", tuple(p.head_rates))
    return cost.count(heads.build, arguments, (3, p.crop, p.crop))


def training_work(p, n_classes, samples) -> cost.Work:
    """What `train` takes for SAMPLES crops in all."""
    return cost.training(_count(p, n_classes), p.batch, samples, "crop", 1 if p.optimiser == "sgd" else 2)


def test_work(p, size, pictures, with_crf=True) -> cost.Work:
    """What predictions of PICTURES of a data set (`sizes.Size`) take, and with a CRF the fields of all classes."""
    through = pictures * size.megapixels
    fields = {"dense CRF": through * size.classes * p.crf_iterations} if with_crf else {}
    return cost.inference(_count(p, size.classes), through, (p.crop, p.crop), cost.variants(p.scales, p.flip), **fields)
