"""Parity of whole training steps with arrays of the original SPML: losses, accuracy and gradients."""

import torch

from tests.parity.compare import Check, absolute, exact, relative, tensors
from tests.parity.spml_networks import filled
from wsnb.ops.segsort import contrast, retrieval
from wsnb.ops.segsort.retrieval import MemoryBank
from wsnb.ops.segsort.segments import Prototypes
from wsnb.papers.spml import losses, model
from wsnb.papers.spml.losses import Term

CONSTANTS = {"tag_box": ((6, 0.3), (8, 0.3), (16, 0.1)), "scribble": ((6, 1.0), (12, 0.5), (16, 0.1)),
             "point": ((6, 0.1), (8, 0.1), (16, 0.1))}
FIELDS = {"embedding": "prototype", "feature": "prototype_with_loc", "semantic": "prototype_semantic_label",
          "region": "prototype_instance_label", "picture": "prototype_batch_index", "tags": "prototype_semantic_tag"}


def _tags(semantic, n_classes):
    """Foreground classes of whole label maps, 0/1 [N, n_classes - 1]."""
    return torch.stack([torch.bincount(s.flatten(), minlength=256)[1:n_classes] > 0 for s in semantic]).float()


def _memory(d, prefix, n_classes):
    memory = MemoryBank(2)
    for i in range(2):
        if f"{prefix}memory_prototype_{i}" in d:
            entry = {name: d[f"{prefix}memory_{key}_{i}"] for name, key in FIELDS.items()}
            memory.entries.append(Prototypes(**{**entry, "tags": entry["tags"][:, 1:n_classes].float()}))
    return memory


def _compare(name, step, raw, head, d, settings):
    """Terms, total, accuracy and the gradient that reaches the raw embedding."""
    step.total.backward()
    found = step.losses
    checks = [relative(f"{name}semantic annotation", found["annotation"] + found["cross_entropy"],
                       d[f"{name}sem_ann_loss"], 1e-4),
              relative(f"{name}image similarity", found["image_similarity"], d[f"{name}img_sim_loss"], 1e-4),
              relative(f"{name}total", step.total, d[f"{name}total"], 1e-4),
              relative(f"{name}gradient", raw.grad, d[f"{name}grad_emb"], 1e-4)]
    other = found.get("co_occurrence", found.get("feature_affinity"))
    if other is not None and f"{name}sem_occ_loss" in d:
        checks.append(relative(f"{name}co-occurrence or affinity", other, d[f"{name}sem_occ_loss"], 1e-4))
    if f"{name}accuracy" in d:
        u, labels = step.candidates.embedding.detach(), step.candidates.semantic
        _, nearest = retrieval.nearest_neighbours(u, u, 5)  # the segment itself among them
        accuracy = (labels[nearest] == labels[:, None]).float().mean()
        checks.append(absolute(f"{name}accuracy", accuracy, d[f"{name}accuracy"], 1e-4))
    return checks


def _voc(kind):
    def handler(path):
        d, checks = tensors(path), []
        head = filled(model.SoftmaxHead(16, 21), d).eval()
        annotation, occurrence, similarity = (Term(*pair) for pair in CONSTANTS[kind])
        for when in sorted({k.split("_")[0] for k in d if k.endswith("_embedding")}):
            for devices in (1, 2):
                settings = losses.Settings(21, annotation, occurrence, similarity, devices=devices)
                raw = d[f"{when}_embedding"].clone().requires_grad_()
                semantic, regions = d[f"{when}_semantic"], d[f"{when}_instance"]
                memory = _memory(d, f"{when}_", 21)
                step = losses.step(raw, semantic, regions, _tags(semantic, 21), head, settings, memory)
                checks += _compare(f"{when}_split{devices}_", step, raw, head, d, settings)
            checks.append(exact(f"{when} segments", len(step.prototypes), d[f"{when}_nproto"]))
            checks.append(exact(f"{when} memory", [len(e) for e in memory.entries], d[f"{when}_memlen"]))
        return checks

    return handler


def _densepose(affinity):
    def handler(path):
        d, beside = tensors(path), path.parent / "train_step_densepose_released.npz"
        given = {**(tensors(beside) if beside.exists() else {}), **d}
        if "embedding" not in given:
            # the inputs lie in the other file only, which may be away: what remains is that our head takes the weights
            filled(model.SoftmaxHead(16, 15), d)
            parts = sum(d[f"split1_{term}_loss"] for term in ("sem_ann", "sem_occ", "img_sim"))
            return [Check("inputs are in train_step_densepose_released.npz, not here: weights fit the head", 0.0, 0.0),
                    relative("total is the sum of terms", parts, d["split1_total"], 1e-4)]
        checks, head = [], filled(model.SoftmaxHead(16, 15), given).eval()
        x = next(given[k] for k in ("image", "images", "x") if k in given)
        for devices in (1, 2):
            settings = losses.Settings(15, Term(6, 1.0), Term(), Term(16, 0.1), Term(12, 0.5 if affinity else 0.0),
                                       (12, 12), densepose=True, devices=devices)
            raw, semantic = given["embedding"].clone().requires_grad_(), given["semantic"]
            step = losses.step(raw, semantic, given["instance"], _tags(semantic, 15), head, settings, None, x)
            checks += _compare(f"split{devices}_", step, raw, head, d, settings)
        if "prototype_tags_nn" in d:
            found = contrast.affinity_sets(step.candidates, 15)
            stored = d["prototype_tags_nn"]
            checks.append(exact("sets of classes", found, torch.where(stored.any(1, keepdim=True), stored, 1)))
        return checks

    return handler


HANDLERS = {**{f"train_step_voc_{kind}": _voc(kind) for kind in CONSTANTS},
            "train_step_densepose_released": _densepose(False),
            "train_step_densepose_with_feature_affinity": _densepose(True)}
