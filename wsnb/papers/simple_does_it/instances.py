"""Training and applying the instance network: net surgery, samples from pair files, steps, predictions."""

import itertools
from pathlib import Path

import cv2
import numpy as np
import torch

from wsnb.data import read
from wsnb.data.transforms import normalise, to_unit
from wsnb.files import FileError, read_index
from wsnb.models import backbones, training
from wsnb.ops import grabcut
from wsnb.papers.simple_does_it import data, losses, model
from wsnb.papers.simple_does_it.losses import rate_at

KINDS = {"weak": "inst_grabcuts", "full": "inst_masks"}  # the labels of a network, and their folder


def build(backbone, output_stride=0, freeze_norms=False) -> model.BoxNetwork:
    """The network on VGG-16 ("vgg16", the original's) or on another backbone of the book, with random weights."""
    body = model.VGGStages() if backbone == "vgg16" else model.BackboneStages(backbone, 4, output_stride, freeze_norms)
    return model.BoxNetwork(body).train()


def surgery(backbone, weights, output_stride, std, seed) -> tuple[dict, str]:
    """Give ImageNet weights a fourth input channel: (state of the four-channel body, where it came from).

    weights: for vgg16 an .npz or checkpoint of TF-slim's vgg_16, torchvision's .pth, "imagenet" (downloaded) or
    "random"; else as `backbones.load_imagenet`. Raises FileError.
    """
    torch.manual_seed(seed)
    if backbone == "vgg16":
        if weights == "random":
            return model.VGGStages().state_dict(), "random"
        if weights == "imagenet":
            from torchvision import models

            found = models.VGG16_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True)
            state, origin = model.from_torchvision(found, "torchvision vgg16"), "torchvision vgg16 IMAGENET1K_V1"
        elif not Path(weights).exists() and not Path(f"{weights}.index").exists():
            raise FileError(f"weights {weights!r}: no such file; give vgg_16's .npz, checkpoint or .pth, or 'imagenet'")
        else:
            state, origin = model.vgg_state(weights)
        return model.with_box_channel(state, std, seed), origin
    body = model.BackboneStages(backbone, 3, output_stride)
    origin = backbones.load_imagenet(body.body, backbone, weights)
    model.widen(body.body, 1, std, seed)
    return body.state_dict(), origin


def network_input(image, drawn, backbone, preset) -> torch.Tensor:
    """float32 [1, 4, H, W] of a picture uint8 [H, W, 3] and its box map uint8 [H, W].

    vgg16: minus the means, in BGR order on RGB channels ("faithful", as the original) or in the right order ("fixed").
    Other backbones: the book's normalisation, the box map -1 and 1.
    """
    if backbone == "vgg16":
        means = data.BGR_MEANS if data.faithful(preset) else data.SLIM_MEANS
        return data.box_input(image, drawn, means)[None]
    box = torch.from_numpy(drawn.astype(np.float32))[None] / 127.5 - 1
    return torch.cat([normalise(to_unit(image)), box])[None]


@torch.no_grad()
def box_influence(net, state, backbone) -> float:
    """Measure how much the box moves the first activations of a body's STATE: |V * box| / |W * picture| on noise."""
    net.body.load_state_dict(state)
    first = next(m for m in net.body.modules() if isinstance(m, torch.nn.Conv2d))
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    x = network_input(noise, data.box_map((64, 64), (16, 16, 48, 48)), backbone, "faithful")
    apart = [torch.nn.functional.conv2d(x[:, c], first.weight[:, c], stride=first.stride)
             for c in (slice(0, 3), slice(3, 4))]
    return float(apart[1].norm() / apart[0].norm())


class Samples:
    """One object of one picture a sample: samples[i] -> (x [1, 4, h, w], label [1, 1, h, w], name).

    pairs: of `data.read_pairs`; items: {id: item}; folder: of the labels; side: the longer side in pixels, 0 for
    the picture's own size. Nothing is drawn at random: the original augments nothing.
    """

    def __init__(self, pairs, items, folder, side, backbone, preset):
        self.pairs, self.items, self.folder = pairs, items, Path(folder)
        self.side, self.backbone, self.preset = side, backbone, preset

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, i):
        image_name, mask_name, box = self.pairs[i]
        image = read.image(self.items[Path(image_name).stem])
        label = read_index(self.folder / mask_name)
        image, boxes = grabcut.reduced(image, [box], self.side)
        label = cv2.resize(label, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        drawn = data.box_map(image.shape[:2], tuple(boxes[0].tolist()))
        y = torch.from_numpy(data.binary_label(label))[None, None]
        return network_input(image, drawn, self.backbone, self.preset), y, mask_name


def stage_steps(last_steps) -> list[int]:
    """How many steps each stage of supervision has."""
    return [last - first for first, last in zip([0, *last_steps], last_steps, strict=False)]


def steps_of(samples, p, number, first):
    """Yield (samples of a step, learning rate) of stage NUMBER (from 0) of supervision, from step FIRST on, in the
    original's order; workers read them. Of processes that train together each gets its part."""
    begin, end = [0, *p.last_steps][number : number + 2]
    order = list(itertools.islice(data.original_order(len(samples)), begin * p.samples, end * p.samples))
    loaded = training.batches(samples, order, p.samples, first, workers=p.workers, collate=list)
    for step, chosen in enumerate(loaded, begin + first):
        yield chosen, rate_at(step, p.rate_steps, p.rates)


def sample_losses(net, samples, supervision, p, device):
    """Yield the total loss of each of SAMPLES in turn, with the decay of the stage's parameters P."""
    for x, label, _ in samples:
        main, sides = net(x.to(device))
        loss = losses.total_loss(main, sides, label.to(device), supervision)
        yield loss + losses.decay(net, p.weight_decay, data.faithful(p.preset))


def record_loss(run, every=10) -> None:
    """Keep the mean loss of every EVERY steps of a stage in run.kept["losses"]: rows {"step", "stage", "loss"}."""
    since = run.running["steps"] - run.running.get("noted", 0)
    if since >= every:
        rows = run.kept.setdefault("losses", [])
        rows.append({"step": run.kept.get("steps", 0) + int(since), "stage": run.epoch + 1,
                     "loss": float(run.running["loss"] - run.running.get("noted_loss", 0.0)) / since})
        run.kept["steps"] = rows[-1]["step"]
        run.running["noted"], run.running["noted_loss"] = run.running["steps"], run.running["loss"]


@torch.no_grad()
def predict(net, image, box, backbone, preset, side=0, device="cpu", clip=False) -> np.ndarray:
    """Probability of object float32 [H, W] for one box of a picture; CLIP: 0 outside the box."""
    small, boxes = grabcut.reduced(image, [box], side)
    drawn = data.box_map(small.shape[:2], tuple(boxes[0].tolist()))
    logits, _ = net(network_input(small, drawn, backbone, preset).to(device))
    probability = torch.sigmoid(logits)[0, 0].cpu().numpy().astype(np.float32)
    if probability.shape != image.shape[:2]:
        probability = cv2.resize(probability, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.where(grabcut.filled(image.shape[:2], box), probability, 0).astype(np.float32) if clip else probability
