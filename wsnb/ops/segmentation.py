"""Supervised segmentation on label maps of any origin: augmented crops, the loss that skips 255, learning rates,
multi-scale prediction. Weak or full labels differ only in LABEL_OF."""

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from wsnb.data import transforms
from wsnb.data.read import image as read_image
from wsnb.models import distributed, training
from wsnb.models import speed as speeds
from wsnb.models.heads import upsample

IGNORE = 255


class LabelledCrops(torch.utils.data.Dataset):
    """Random crops of pictures with their label maps.

    crops[i] -> {"x": normalised [3, S, S], "label": uint8 [S, S], 255 ignored, "id": str}. The picture is scaled by a
    factor uniform in SCALES (bilinear; labels nearest), mirrored half the time (FLIP), padded (the mean colour, label
    255) and cropped to SIZE. LABEL_OF(item) reads the label map uint8 [H, W]; it is resized (nearest) if it has
    another size than the picture. A crop is a function of (seed, epoch, i).
    """

    def __init__(self, items, label_of, size, seed=0, epoch=0, scales=(0.5, 1.5), flip=True, base=1.0):
        self.items, self.label_of, self.size = items, label_of, size
        self.seed, self.epoch, self.scales, self.flip, self.base = seed, epoch, scales, flip, base

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        item = self.items[index]
        rng = transforms.sample_generator(self.seed, self.epoch, index)
        picture, label = read_image(item), np.asarray(self.label_of(item), np.uint8)
        scale = self.base * rng.uniform(*self.scales)
        height, width = (max(1, int(side * scale)) for side in picture.shape[:2])
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
        label = cv2.resize(label, (width, height), interpolation=cv2.INTER_NEAREST)
        mirrored = self.flip and rng.random() < 0.5
        if mirrored:
            picture, label = picture[:, ::-1], label[:, ::-1]
        top, left = (int(rng.integers(0, max(side - self.size, 0) + 1)) for side in (height, width))
        window = np.s_[top : top + self.size, left : left + self.size]
        x = transforms.normalise(transforms.to_unit(picture[window]))
        y = torch.from_numpy(np.ascontiguousarray(label[window]))
        right, bottom = self.size - y.shape[1], self.size - y.shape[0]
        return {"x": F.pad(x, (0, right, 0, bottom)), "label": F.pad(y, (0, right, 0, bottom), value=IGNORE),
                "id": item.id}


def loss(logits, label):
    """Mean cross-entropy of LOGITS [B, C, h, w], enlarged to LABEL [B, H, W], over the pixels that are not 255, in the
    batches of all processes.

    0, with a gradient of zeros, if there is no such pixel.
    """
    total = F.cross_entropy(upsample(logits, label.shape[-2:]), label, ignore_index=IGNORE, reduction="sum")
    return total / distributed.mean_over_processes((label != IGNORE).sum()).clamp(min=1)


def poly(step, steps, power=0.9) -> float:
    """Factor of the learning rate at STEP of STEPS: (1 - step / steps) ** power."""
    return max(0.0, 1 - step / max(steps, 1)) ** power


def fit(run, optimiser, step, loader_of, epochs, steps_an_epoch, progress, rate=poly, *, device, gpus=1,
        speed="exact", norm_replicas=1, before_epoch=None, each_epoch=None):
    """Train until EPOCHS are done; killed at any moment, it continues from its last checkpoint.

    run: `training.Training`. step(batch) -> loss (a tensor with its gradient); the batch's tensors are on DEVICE.
    loader_of(epoch, first) -> batches from number FIRST on. rate(step, steps) multiplies each group's first learning
    rate. progress is the stage's. before_epoch(epoch) and each_epoch(epoch, mean loss) are called around the
    steps of an epoch; means of all that was added to RUN are in run.kept["epochs"].

    GPUS > 1: so many processes, each with its part of every batch, make the steps of one (`distributed.launch`); the
    two functions are called in the first. BatchNorms see the batches of all, unless STEP has them see NORM_REPLICAS
    parts of a batch. The parts of RUN, built in main memory, stay there, for a process that uses a GPU cannot start
    others. SPEED: see `models.speed`.
    """

    def learn(process):
        run.enter(process)
        first_rates = run.kept.setdefault("rates", [group["lr"] for group in optimiser.param_groups])
        seed, total = run.kept.setdefault("seed", torch.initial_seed()), epochs * steps_an_epoch
        if process.size > 1 and norm_replicas == 1:
            for part in run.networks.values():
                distributed.share_statistics(part)
        parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        with speeds.at(speed, run, process.device), run:
            for epoch in run.epochs(epochs):
                if before_epoch and run.step == 0 and process.is_first:
                    before_epoch(epoch)
                batches = run.steps(lambda first, epoch=epoch: loader_of(epoch, first))
                what = f"steps of epoch {epoch + 1} of {epochs}"
                for batch in process.first_only(progress)(batches, steps_an_epoch - run.step, what=what):
                    done = epoch * steps_an_epoch + run.step
                    if process.size > 1:  # each draws what no other does
                        torch.manual_seed(seed + (done * process.size + process.rank + 1) * 1_000_003)
                    factor = rate(done, total)
                    for group, lr in zip(optimiser.param_groups, first_rates, strict=True):
                        group["lr"] = lr * factor
                    optimiser.zero_grad()
                    value = step(training.placed(batch, process.device))
                    mean = run.check(distributed.mean_over_processes(value), optimiser.param_groups[0]["lr"],
                                     batch["id"])
                    value.backward()
                    distributed.average_gradients(parameters)
                    optimiser.step()
                    run.add(steps=1, loss=mean)
                sums = {name: value for name, value in run.running.items() if name != "steps"}
                means = {name: float(value) / run.running["steps"] for name, value in sums.items()}
                run.kept.setdefault("epochs", []).append({"epoch": epoch, **means})
                run.log(f"epoch {epoch + 1} of {epochs}: loss {means['loss']:.4f}")
                if each_epoch and process.is_first:
                    each_epoch(epoch, means["loss"])

    distributed.launch(learn, gpus, device)
    if gpus > 1 and run.path.exists():
        run.restore()
    run.to(distributed.build_device(gpus, device))


def predict(network, image, scales=(1.0,), flip=False, device="cpu", tags=None, base=1.0):
    """Compute `probabilities` as an array float32 [C, H, W]."""
    return probabilities(network, image, scales, flip, device, tags, base).cpu().numpy()


@torch.no_grad()
def probabilities(network, image, scales=(1.0,), flip=False, device="cpu", tags=None, base=1.0):
    """Class probabilities of a picture on DEVICE: uint8 [H, W, 3] -> float32 [C, H, W], the mean softmax over scales
    and mirror.

    A picture and its mirror image go through the network together. tags: 0/1 [C - 1]; absent classes get 0 before the
    mean is taken (image labels known at test). base: as in LabelledCrops, the size at which the network was trained.
    """
    if network.training:
        raise ValueError("predict wants network.eval()")
    height, width = image.shape[:2]
    total = 0
    for scale in scales:
        size = tuple(max(1, round(side * scale * base)) for side in (width, height))
        x = transforms.normalise(transforms.to_unit(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)))[None]
        if flip:
            x = torch.cat([x, x.flip(-1)])
        logits = network(x.to(device, memory_format=torch.channels_last))
        if tags is not None:
            absent = torch.as_tensor(np.concatenate([[True], np.asarray(tags) > 0]), device=logits.device)
            logits = logits.masked_fill(~absent[None, :, None, None], float("-inf"))
        maps = logits.softmax(1)
        if flip:
            maps = (maps[:1] + maps[1:].flip(-1)) / 2
        total = total + upsample(maps, (height, width))[0]
    return total / len(scales)
