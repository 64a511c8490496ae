"""Training stages at the papers' size on a GPU: pictures a second, peak memory, the share of time outside the network.

`python -m benchmarks.gpu VOCDEVKIT [--steps N] [--device D] [--side S] [--batch B] [case ...]`, eight minutes at most;
$OUT/gpu.csv and gpu.md get the rows as they come. Networks, batches and losses are those of the experiments' values;
crops of the pictures of VOCDEVKIT with their masks stand for every data set, so that what is outside the network is the
training loop, the loader and the loss. Each exact training is continued from its checkpoint after its first epoch.
"exact" and "fast": see wsnb/models/speed.py. SIDE and BATCH make it small enough for a machine without a GPU, as
`--device cpu --steps 2 --side 97 --batch 2`.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch

from wsnb.data import read, transforms
from wsnb.models import heads, replicas, training
from wsnb.ops import segmentation
from wsnb.ops.segsort.retrieval import MemoryBank
from wsnb.papers.no_people_allowed import irnet
from wsnb.papers.no_people_allowed import losses as npa_losses
from wsnb.papers.no_people_allowed import model as npa_model
from wsnb.papers.simple_does_it import instances
from wsnb.papers.simple_does_it import losses as sdi_losses
from wsnb.papers.single_stage import losses as single_losses
from wsnb.papers.single_stage import model as single_model
from wsnb.papers.single_stage import steps as single_steps
from wsnb.papers.spml import losses as spml_losses
from wsnb.papers.spml import model as spml_model
from wsnb.papers.spml import steps as spml_steps
from wsnb.run import experiments

ROOT, LIMIT, WORKERS = Path(__file__).parents[1], 420, 4  # seconds; processes of a loader


def values(title, stage, **more):
    """The parameters of a stage of an experiment, without files."""
    found = experiments.load(ROOT, *title.split("/")).stages
    plan = next(one for one in found if one.name == stage)
    return SimpleNamespace(**{**plan.values, "weights": "random", "irnet_weights": "random", **more})


class Samples(torch.utils.data.Dataset):
    """Crops of SIDE pixels of PICTURES with the other parts of SAMPLE. Labels keep their classes below CLASSES, other
    objects become the last one."""

    def __init__(self, pictures, sample, side, classes):
        self.sample, self.classes, self.count = sample, classes, len(pictures)
        self.crops = segmentation.LabelledCrops(pictures, lambda item: read.mask("voc", item, 21), side)

    def __len__(self):
        return self.count

    def __getitem__(self, k):
        crop = self.crops[k % self.count]
        one = {**self.sample, "x": crop["x"], "id": crop["id"]}
        if "image" in one:
            one["image"] = transforms.denormalise(crop["x"])
        if "label" in one:
            label = crop["label"]
            one["label"] = torch.where(label == segmentation.IGNORE, label, label.clamp(max=self.classes - 1))
        return one


def labels(side, classes):
    """Noise in squares of 32 pixels, uint8 [SIDE, SIDE]; the last class is 255."""
    small = torch.randint(0, classes + 1, (-(-side // 32), -(-side // 32)))
    small[small == classes] = 255
    return small.repeat_interleave(32, 0).repeat_interleave(32, 1)[:side, :side].to(torch.uint8)


def single_stage(side, batch):
    p = values("single_stage/voc12_resnet38", "01_train")
    network, _ = single_model.build(p.model, p.backbone, "random", 21, p.width, p.psi, p.output_stride, "", p.freeze)
    settings, tags = single_losses.settings_from(p), torch.zeros(20).index_fill(0, torch.tensor([3, 11]), 1)

    def step(x):
        out = single_steps.batch_losses(network, x["x"], x["image"], x["tags"], settings, True, p.norm_replicas)
        return out["tag_loss"] + out["mask_loss"]

    return {"network": network}, step, {"image": torch.rand(3, side or p.crop, side or p.crop), "tags": tags}, p.batch


def classifier(side, batch):
    p = values("no_people_allowed/imagenet_det", "01_classifier")
    network, _ = npa_model.build(p.backbone, 200, "random", p.extra, p.output_stride, p.freeze, p.detach_below, p.bias)
    loss_of, tags = npa_losses.classification_loss(p.loss), torch.zeros(200).index_fill(0, torch.tensor([3]), 1)

    def step(x):
        return loss_of(replicas.forward(network, x["x"], p.norm_replicas), x["tags"])

    return {"network": network}, step, {"side": side or p.side, "tags": tags}, p.batch


def pairs(side, batch):
    p = values("no_people_allowed/imagenet_det", "04_irnet")
    network, _ = irnet.build(p.irnet_backbone, p.centring, p.norms)
    side = side or p.irnet_side

    def step(x):
        return irnet.batch_loss(network, x, p, 201)

    return {"network": network}, step, {"side": side, "label": labels(side, 2)}, p.irnet_batch


def segmenter(title, stage, classes):
    def case(side, batch):
        p = values(title, stage)
        network, _ = heads.build(p.head, p.backbone, classes, "random", p.output_stride, p.width, p.freeze)

        def step(x):
            return segmentation.loss(network(x["x"]), x["label"])

        size = side or p.crop
        return {"network": network}, step, {"side": size, "label": labels(size, classes)}, p.batch

    return case


def embedding(side, batch):
    p = values("spml/voc12_tag", "04_embedding")
    network, _ = spml_model.build(p.backbone, p.head, p.dim, "random", p.norms, p.norm_momentum, p.output_stride,
                                  p.head_width, rates=p.head_rates)
    joint, memory, side = spml_model.joint_head(p.dim, 21, p.norms), MemoryBank(p.memory), side or p.crop
    settings = spml_steps.settings_from(p, 21)

    def step(x):
        given = (x[name] for name in ("semantic", "regions", "tags"))
        done = spml_losses.step(network(x["x"]), *given, joint, settings, memory, x["x"])
        memory.add(done.prototypes, len(x["x"]))
        return done.total

    tags = torch.zeros(20).index_fill(0, torch.tensor([3, 11]), 1)
    sample = {"side": side, "semantic": labels(side, 21), "regions": labels(side, 40), "tags": tags}
    return {"network": network, "joint": joint, "memory": memory}, step, sample, p.batch


def boxes(side, batch):
    p = values("simple_does_it/sbd_instance", "03_train")
    network, side = instances.build(p.backbone, p.output_stride, p.freeze_norms), side or 500

    def step(x):  # the original averages the gradients of single objects; here their losses, one after another
        found = [network(torch.cat([one, one[:1]])[None]) for one in x["x"]]
        each = zip(found, x["label"], strict=True)
        return sum(sdi_losses.total_loss(*maps, y[None, None].float() * 255, 1) for maps, y in each) / len(found) / 1e6

    return {"network": network}, step, {"side": side, "label": labels(side, 1)}, p.samples


def tagged(side, batch):
    p = values("spml/voc12_tag", "02_cam")
    network = heads.Classifier(spml_model.trunk(p.backbone, "random", p.output_stride)[0], 20, p.freeze)
    tags = torch.zeros(20).index_fill(0, torch.tensor([3]), 1)

    def step(x):
        return heads.multilabel_loss(network(x["x"]), x["tags"])

    return {"network": network}, step, {"side": side or p.cam_crop, "tags": tags}, p.cam_batch


CASES = {
    "single_stage/voc12_resnet38 01": single_stage,
    "no_people_allowed/imagenet_det 01": classifier,
    "no_people_allowed/imagenet_det 04": pairs,
    "spml/voc12_tag 02": tagged,
    "spml/voc12_tag 04": embedding,
    "panoptic/cityscapes_weak 06": segmenter("panoptic/cityscapes_weak", "06_train", 19),
    "simple_does_it/voc12_semantic_box 07": segmenter("simple_does_it/voc12_semantic_box", "07_train", 21),
    "simple_does_it/sbd_instance 03": boxes,
}


def measure(name, speed, steps, device, folder, pictures, side=0, batch=0, workers=WORKERS) -> dict:
    """Train for STEPS, at least 2, on crops of PICTURES and measure: a row of the table. SIDE and BATCH: others than
    the experiment's."""
    torch.manual_seed(0)
    parts, step, sample, usual = CASES[name](side, batch)
    batch = batch or usual
    edge = sample.pop("side", None) or sample["image"].shape[-1]
    known = sample["label"][sample["label"] != segmentation.IGNORE] if "label" in sample else np.zeros(1)
    samples = Samples(pictures, sample, edge, max(2, int(known.max()) + 1))
    for part in parts.values():
        if isinstance(part, torch.nn.Module):
            part.to(device, memory_format=torch.channels_last).train()
    learning = [one for part in parts.values() if isinstance(part, torch.nn.Module)
                for one in part.parameters() if one.requires_grad]
    optimiser, times, warm = torch.optim.SGD(learning, lr=1e-6, momentum=0.9), [], steps // 2

    def loader(epoch, first):
        return training.batches(samples, range(batch * steps), batch, first, workers=workers)

    def timed(x):
        if len(times) % (steps + 1) == warm:
            synchronised(device)
        times.append(time.perf_counter())
        return step(x)

    def over(epoch, mean):
        times.append(synchronised(device))

    path = Path(folder) / f"{name.replace('/', ' ')} {speed}.pt"
    for epochs in (1, 2) if speed == "exact" else (1,):  # the second goes on from the first one's checkpoint
        said = []
        run = training.Training(path, log=said.append, optimiser=optimiser, **parts)
        assert bool(said) == (epochs == 2), said
        segmentation.fit(run, optimiser, timed, loader, epochs, steps, lambda batches, *_, **__: batches,
                         lambda *_: 1.0, each_epoch=over, device=device, speed=speed)
    path.unlink()
    whole = (times[-1] - times[warm - steps - 1]) / (steps - warm)  # of the last epoch's
    alone = network_alone(parts["network"], torch.rand(batch, 3, edge, edge), device, speed, run, warm)
    memory = torch.cuda.max_memory_allocated(device) / 2**30 if torch.device(device).type == "cuda" else None
    share = round(100 * (1 - min(1, alone / whole)))
    return {"stage": name, "speed": speed, "side": edge, "batch": batch, "pictures/s": round(batch / whole, 2),
            "step ms": round(1000 * whole), "network ms": round(1000 * alone), "outside the network %": share,
            "peak GiB": memory and round(memory, 2)}


def network_alone(network, x, device, speed, run, steps) -> float:
    """Seconds of a forward and a backward pass of NETWORK on x, nothing else; instances' networks see four channels."""
    from wsnb.models import speed as speeds

    x = torch.cat([x, x[:, :1]], 1) if isinstance(network, instances.model.BoxNetwork) else x
    x = x.to(device, memory_format=torch.channels_last)
    with speeds.at(speed, run, device):
        for number in range(steps + 1):
            if number == min(1, steps - 1):
                start = synchronised(device)
            found = network(x)
            flat = found if isinstance(found, torch.Tensor) else found[0]
            flat.float().mean().backward()
        return (synchronised(device) - start) / max(1, steps)


def synchronised(device) -> float:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root", help="folder of VOC2012's pictures and masks")
    parser.add_argument("cases", nargs="*", metavar="case", help=f"of {', '.join(CASES)}; none: all")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--side", type=int, default=0)
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--workers", type=int, default=WORKERS)
    given = parser.parse_args()
    out, began, rows = Path(os.environ.get("OUT", tempfile.mkdtemp())), time.monotonic(), []
    pictures = read.items("voc", given.root, "train", 0)
    for name in given.cases or CASES:
        for speed in ("exact", "fast"):
            if time.monotonic() - began > LIMIT:
                print(f"left out for want of time: {name} {speed}", flush=True)
                continue
            if torch.device(given.device).type == "cuda":
                torch.cuda.empty_cache(), torch.cuda.reset_peak_memory_stats(given.device)
            try:
                rows.append(measure(name, speed, given.steps, given.device, out, pictures, given.side, given.batch,
                                    given.workers))
            except RuntimeError as error:  # most of all a GPU without enough memory: the other rows still count
                rows.append({"stage": name, "speed": speed, "failed": str(error).splitlines()[0]})
            print(rows[-1], flush=True)
            table = pd.DataFrame(rows)
            table.to_csv(out / "gpu.csv", index=False)
            (out / "gpu.md").write_text(table.to_markdown(index=False) + "\n")
    print(f"results are in {out}")


if __name__ == "__main__":
    main()
