"""Scores that are not finite never become labels: each chapter's own writers, with a network that gives some NaN."""

from functools import partial
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from wsnb.data.item import Item
from wsnb.files import FileError, save_npz, save_png
from wsnb.ops import cam, label_maps, segmenter
from wsnb.ops.crf import CRF
from wsnb.papers.no_people_allowed import inference as npa
from wsnb.papers.no_people_allowed import instances, irnet
from wsnb.papers.panoptic import predict as panoptic
from wsnb.papers.simple_does_it import box_labels, semantic
from wsnb.papers.single_stage.inference import Inference
from wsnb.papers.single_stage.inference import write_labels as write_single_stage
from wsnb.papers.spml import inference as spml
from wsnb.papers.spml import prototypes

NO_CRF = CRF(iterations=0)
P = SimpleNamespace(scales=[1.0], flip=True, base=1.0, workers=0, reset_share=0.5, rules=["outside", "reset"])


class Broken(torch.nn.Module):
    """Three classes; one logit of each picture is NaN."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(3, 3, 1)

    def forward(self, x):
        logits = self.first(x)
        logits[..., 0, 0] = torch.nan
        return logits


@pytest.fixture
def items(tmp_path):
    rng = np.random.default_rng(0)
    made = []
    for name in ("a", "b"):
        save_png(tmp_path / f"{name}.png", rng.integers(0, 3, (24, 32), np.uint8))
        cv2.imwrite(str(tmp_path / f"{name}.bmp"), rng.integers(0, 256, (24, 32, 3), np.uint8))
        made.append(Item(name, tmp_path / f"{name}.bmp", tmp_path / f"{name}.png", None, None))
    return made


def labels_of_single_stage(net, items, out):
    return write_single_stage(Inference(net, [1], 32, cut=0.1), items, 3, ["predicted"], NO_CRF, out, 0)


def denoised(net, items, out, monkeypatch):
    monkeypatch.setattr(semantic, "boxes_of", lambda inputs, item: (np.array([[2, 2, 9, 9]]), np.array([1])))
    return semantic.write_denoised(P, net, items, "cpu", box_labels.Inputs("voc", "abc"), NO_CRF, items[0].mask.parent,
                                   out)


def spml_softmax(net, items, out):
    def maps_of(item, image):
        return net(torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None])[0].softmax(0).detach().numpy()

    return spml.write_labels(maps_of, items, [out], NO_CRF, 0)


def spml_retrieval(net, items, out):
    memory = prototypes.Memory(torch.eye(3), torch.tensor([0, 1, 2]), np.zeros(3), np.zeros((3, 4)))
    cut = prototypes.Clustering(Embedding(net), (2, 2))
    votes_of = partial(prototypes.vote_maps, cut, memory, n_classes=3, neighbours=1)
    return spml.write_labels(lambda item, image: votes_of(image=image), items, [out], NO_CRF, 0)


class Embedding(torch.nn.Module):
    """Three features at full size from the network's logits."""

    def __init__(self, net):
        super().__init__()
        self.embed = net
        self.dim = 3

    def forward(self, x):
        return self.embed(x)


def spml_prototypes(net, items, out):
    cut = prototypes.Clustering(Embedding(net), (2, 2))
    return prototypes.write(cut, items, lambda item: np.zeros((24, 32), np.uint8), out)


def npa_instances(net, items, out, monkeypatch):
    moved = np.full((2, 6, 8), np.nan, np.float32)
    monkeypatch.setattr(irnet, "boundaries", lambda *_: (np.zeros((6, 8), np.float32), moved, (1.0, 1.0)))
    for item in items:
        cam.write(out / "cams", item.id, [0], np.ones((1, 6, 8)), (24, 32))
    return instances.detections_of(net, items, out / "cams", instances.Settings(steps=2))


WRITERS = {
    "single_stage": labels_of_single_stage,
    "simple_does_it": lambda net, items, out: segmenter.write_predictions(P, net, items, "cpu", [out], NO_CRF),
    "simple_does_it, the next round": denoised,
    "spml, softmax": spml_softmax,
    "spml, retrieval": spml_retrieval,
    "spml, prototypes": spml_prototypes,
    "no_people_allowed": lambda net, items, out: npa.write_segmentations(net, items, out, "nearest", 32, 1.0, [1.0]),
    "no_people_allowed, instances": npa_instances,
    "panoptic": lambda net, items, out: panoptic.write_probabilities(net, items, out, None, [1.0], False),
}


@pytest.mark.parametrize("chapter", WRITERS)
def test_no_label_from_scores_that_are_not_finite(chapter, items, tmp_path, monkeypatch):
    writer, out = WRITERS[chapter], tmp_path / "out"
    more = (monkeypatch,) if writer in (denoised, npa_instances) else ()
    with pytest.raises(FileError, match=r"\ba\b.*: .* % of its scores are not finite; .*learning rate"):
        list(writer(Broken().eval(), items, out, *more))
    assert not list(out.rglob("a.png"))


def test_what_lies_in_files_is_looked_at_too(tmp_path):
    save_npz(tmp_path / "a.npz", probabilities=np.full((2, 3, 4), np.inf, np.float16))
    with pytest.raises(FileError, match="a.npz: 100 % of its scores are not finite"):
        panoptic.load_probabilities(tmp_path / "a.npz", (3, 4))
    with pytest.raises(FileError, match="a.mat: 25 % of its scores are not finite"):
        panoptic.save_scores(tmp_path / "a.mat", [[0.5, np.nan], [0.5, 0.5]])
    label_maps.need_finite(np.zeros((0, 2)), "nothing")
    label_maps.need_finite(torch.zeros(2), "something")
