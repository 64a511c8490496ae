"""Parity of the contrast of pixels and prototypes with arrays of the original SPML."""

import re

import torch
import torch.nn.functional as F

from tests.parity.compare import absolute, relative, tensors
from wsnb.ops.segsort import contrast


def _same_class(d):
    classes = int(torch.cat([d["semantic"], d["proto_semantic"]]).max()) + 1
    return d["semantic"], d["proto_semantic"][None] == torch.arange(classes)[:, None]


def _loss_checks(name, d, key, forms):
    """FORMS {name: (function of pixels and prototypes, tolerance)}, with gradients of the mean."""
    checks = []
    for form, (function, pixel_tolerance) in forms.items():
        pixels, prototypes = (d[k].clone().requires_grad_() for k in ("embeddings", "prototypes"))
        loss = function(pixels, prototypes)
        loss.mean().backward()
        checks += [absolute(f"{name} {form}", loss, d[f"pix_{key}"], pixel_tolerance),
                   absolute(f"{name} {form}, mean", loss.mean(), d[f"mean_{key}"], max(1e-5, pixel_tolerance / 50))]
        for stored, ours in ((f"gemb_{key}", pixels), (f"gproto_{key}", prototypes)):
            if stored in d:
                checks.append(relative(f"{name} {form}, {stored}", ours.grad, d[stored], max(1e-4, pixel_tolerance)))
    return checks


def _forms(own, group, positive, kappa, tolerances):
    """The plain form, and the chunked one, which float32 does not spoil."""
    def plain(pixels, prototypes):
        return contrast.plain_contrastive_loss(pixels, own, group, positive, prototypes, kappa)

    def chunked(pixels, prototypes):
        loss = contrast.contrastive_loss(pixels, own, group, positive, prototypes, kappa)
        # an own segment of another kind repels too in the original: log((m + r) / m) becomes log((m + m + r) / m)
        return torch.where(positive[group, own], loss, F.softplus(loss))

    return {"plain": (plain, tolerances[0]), "chunked": (chunked, tolerances[1])}


def _own_alone(pixels, prototypes, own, group, positive, kappa):
    """Only the own segment attracts: the loss without the others of its class, one segment's pixels after another."""
    losses, places = [], []
    for segment in own.unique().tolist():
        place = (own == segment).nonzero()[:, 0]
        kept = ~positive[group[place[0]]]
        kept[segment] = True
        mine = int(kept[:segment].sum())
        losses.append(contrast.plain_contrastive_loss(
            pixels[place], torch.full_like(place, mine), torch.zeros_like(place),
            torch.arange(int(kept.sum()))[None] == mine, prototypes[kept], kappa))
        places.append(place)
    return torch.cat(losses)[torch.cat(places).argsort()]


def _segsort(path):
    d, checks = tensors(path), []
    group, positive = _same_class(d)
    for key in (k[4:] for k in d if k.startswith("pix_")):
        kappa, mode = re.fullmatch(r"k(\d+)_(plus|base)", key).groups()
        tolerance = {6: 1e-5, 8: 1e-5, 10: 1e-4, 12: 1e-3}.get(int(kappa), 5e-3)
        relation = d["own_index"], group, positive, float(kappa)
        forms = _forms(*relation, (tolerance, tolerance))
        if mode == "base":
            forms = {"plain": (lambda e, u, relation=relation: _own_alone(e, u, *relation), tolerance)}
        checks += _loss_checks(key, d, key, forms)
    return checks


def _cancellation(path):
    d = tensors(path)
    group, positive = _same_class(d)
    arguments = d["embeddings"], d["own_index"], group, positive, d["prototypes"], 16.0
    plain, chunked = contrast.plain_contrastive_loss(*arguments), contrast.contrastive_loss(*arguments)
    return [absolute("plain falls to the own segment", plain, d["loss_f32"], 1e-5),
            absolute("chunked is exact", chunked, d["loss_exact_without_subtraction_f64"], 1e-3)]


def _set_segsort(path):
    d, checks = tensors(path), []
    positive = d["tags"].float() @ d["proto_tags"].float().T > 0
    group = torch.arange(len(positive))
    for key in ("k8", "k12"):
        # the two forms differ by the cancellation where no tag is shared but the own one
        tolerances = (1e-5, 1e-3 if key == "k12" else 1e-5)
        checks += _loss_checks(key, d, key, _forms(d["own_index"], group, positive, float(key[1:]), tolerances))
    return checks


HANDLERS = {"segsort_loss": _segsort, "segsort_loss_cancellation": _cancellation, "set_segsort_loss": _set_segsort}
