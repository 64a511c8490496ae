"""Four steps of the notebooks' own trainings against a plain formulation in double precision: losses, every tensor."""

from types import SimpleNamespace

import torch
import torch.nn.functional as F

from tests import notebook_cells as notebook
from tests import plain
from tests.notebook_cells import losses  # noqa: F401

LR, DECAY, CLASSES = 0.01, 0.003, 5
NOTHING = SimpleNamespace(loss_figure=lambda history: None)


def samples(**kinds):
    generator = torch.Generator().manual_seed(3)
    made = [{"x": torch.randn(3, 32, 32, generator=generator)} for _ in range(8)]
    for sample in made:
        for name, (high, shape) in kinds.items():
            sample[name] = torch.randint(0, high, shape, generator=generator)
    return made


def test_the_segmenter(losses, tmp_path):  # noqa: F811
    made = samples(label=(CLASSES + 1, (32, 32)))
    for sample in made:
        sample["label"][sample["label"] == CLASSES] = 255
    recorded = notebook.Recorded(made)
    p = SimpleNamespace(seed=1, round=1, threads=1, deterministic=False, head="aspp", head_rates=[1, 2], width=8,
                        backbone="tiny", weights="random", output_stride=0, freeze=True, lr=LR, weight_decay=DECAY,
                        crop=32, batch=2, workers=0, gpus=1, speed="exact")
    known = notebook.imports("panoptic/06", charts=NOTHING, p=p, stage=notebook.stage(tmp_path), space=range(CLASSES),
                             goes_on=False, items=made, crops=lambda epoch: recorded, epochs=1)
    net = notebook.cells("panoptic/06", known, "net")["net"]
    w = plain.copied(net)
    notebook.cells("panoptic/06", known, "step", "run")
    state, expected = {}, []
    for t, batch in enumerate(recorded.batches(2)):
        deep = plain.tiny(w, batch["x"], training_mode=False)[-1]
        logits = sum(F.conv2d(deep, w[f"head.branches.{k}.weight"], w[f"head.branches.{k}.bias"], 1, rate, rate)
                     for k, rate in enumerate(p.head_rates))
        loss = plain.pixel_entropy(logits, batch["label"], CLASSES)
        expected.append(float(loss.detach()))
        plain.momentum_step(w, loss, state, decay_of=lambda name: 0.0 if name.endswith("bias") else DECAY,
                            rate_of=lambda name, t=t: LR * (10 if "head" in name else 1) * (1 - t / 4) ** 0.9)
    assert len(expected) == 4
    plain.assert_equal(w, losses, expected, net)


def test_the_tag_classifier(losses, tmp_path):  # noqa: F811
    recorded = notebook.Recorded(samples(tags=(2, (CLASSES,))))
    for sample in recorded.samples:
        sample["tags"] = sample["tags"].double()
    p = SimpleNamespace(seed=1, threads=1, backbone="tiny", weights="random", output_stride=0, freeze=True, cam_lr=LR,
                        weight_decay=DECAY, crop_input=[32, 32], cam_batch=2, cam_epochs=1, cam_dir="", workers=0,
                        gpus=1, speed="exact")
    known = notebook.imports("panoptic/02", charts=NOTHING, p=p, stage=notebook.stage(tmp_path), space=range(CLASSES),
                             data=SimpleNamespace(TaggedCrops=lambda *_: recorded), places={}, tags={},
                             pictures=SimpleNamespace(all=[]))
    net = notebook.cells("panoptic/02", known, "net")["net"]
    w = plain.copied(net)
    notebook.cells("panoptic/02", known, "step", "run")
    state, expected = {}, []
    for t, batch in enumerate(recorded.batches(2)):
        deep = plain.tiny(w, batch["x"], training_mode=False)[-1]
        logits = deep.mean((2, 3)) @ w["fc8.weight"][..., 0, 0].T
        yes, tags = logits.sigmoid(), batch["tags"]
        loss = -(tags * yes.log() + (1 - tags) * (1 - yes).log()).mean()
        expected.append(float(loss.detach()))
        plain.momentum_step(w, loss, state, decay_of=lambda name: 0.0 if name.endswith("bias") else DECAY,
                            rate_of=lambda name, t=t: LR * (10 if "fc8" in name else 1) * (1 - t / 4) ** 0.9)
    assert len(expected) == 4
    plain.assert_equal(w, losses, expected, net)
