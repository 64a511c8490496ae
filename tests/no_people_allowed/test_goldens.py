"""The parity command on arrays of the original programs, that its handlers notice a changed array, and files in the
form of those kept apart, made by the formulas written down again."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.parity import __main__ as command
from tests.parity import no_people_allowed, no_people_allowed_networks
from tests.parity.compare import load
from wsnb.files import save_json, save_npz
from wsnb.models import backbones, irnet
from wsnb.models.resnet import ResNet
from wsnb.papers.no_people_allowed import original_names

GOLDENS = Path(__file__).parents[1] / "goldens/no_people_allowed"
HANDLERS = no_people_allowed.HANDLERS


def test_arrays_of_the_original_programs(capsys):
    assert command.main([str(GOLDENS)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 19 and all(line.endswith("  ok") for line in lines)


@pytest.mark.parametrize(("name", "key"), [
    ("affinity_labels_r5", "nclass21_fg"), ("chainercv_ap", "ap"), ("edge_to_affinity_r5", "affinity"),
    ("gradcam", "gcpp_inplace1"),
    ("irn_loss_r5", "dp_fg"), ("metrics", "freqw_acc"), ("path_index_r5", "dst_indices"), ("poly_optimizer", "p"),
    ("quarter_labels", "pil_nearest"), ("random_crop_boxes", "boxes"), ("random_walk_b", "rw"),
    ("sem_seg_post", "irn_label_bg025"), ("irn_make_cam_merge", "cam"),
    ("irn_make_cam_merge", "high_res"), ("npa_lr_schedules", "cls")])
def test_a_changed_array_fails(tmp_path, name, key):
    shutil.copytree(GOLDENS, tmp_path / "g")
    path = tmp_path / "g" / f"{name}.npz"
    arrays = dict(load(path))
    array = np.array(arrays[key])
    array.flat[0] = array.flat[0] + 1 if array.dtype.kind in "iu" else array.flat[0] * 1.1 + 1
    save_npz(path, **{**arrays, key: array})
    assert not all(check.ok for check in HANDLERS[name](path))


def test_variants_at_test_as_the_original_makes_them(tmp_path):
    generator = torch.Generator().manual_seed(2)
    x, w, b = (torch.randn(size, generator=generator) for size in ((1, 3, 32, 32), (7, 3, 3, 3), (7,)))
    total = 0
    for mirror in (False, True):  # mirror, scale; scale back, mirror back
        for scale in (0.5, 1.0, 2.0):
            seen = F.interpolate(x.flip(-1) if mirror else x, scale_factor=scale, mode="nearest")
            back = F.interpolate(F.conv2d(seen, w, b, padding=1), size=(32, 32), mode="nearest")
            total = total + (back.flip(-1) if mirror else back) / 6
    labels = F.interpolate(total, size=(45, 51), mode="nearest").argmax(1).numpy().astype(np.uint8)
    arrays = {"x": x.numpy(), "w": w.numpy(), "b": b.numpy(), "avg_logits": total.numpy(), "pred_resized": labels,
              "orig_size": np.array([45, 51])}
    for factor, good in ((1, True), (1.01, False)):
        save_npz(tmp_path / "tta_flip_scale.npz", **{**arrays, "avg_logits": factor * total.numpy()})
        assert all(check.ok for check in HANDLERS["tta_flip_scale"](tmp_path / "tta_flip_scale.npz")) == good


def test_irns_network_with_its_wrapper(tmp_path):
    """The wrapper pads the pair as it is given, crops both to a quarter, mirrors the second back, and averages."""
    network = irnet.IRNet(ResNet(50, pooled=True), "stored mean", "fixed")
    shapes = {}
    for ours, value in network.state_dict().items():
        theirs = ours.removeprefix("branches.") if ours.startswith("branches.") else f"resnet50.{ours}"
        shapes[theirs] = {"shape": list(value.shape), "aliases": []}
    save_json(tmp_path / "irn_original_keys.json", {"irn_net": shapes, "cam_net": {}})
    state = no_people_allowed_networks.by_key({k: v["shape"] for k, v in shapes.items()}, "irnnet.")
    backbones.fill(network, original_names.irn_state(state), "made", counters=False)
    generator = torch.Generator().manual_seed(3)
    x, pair = (torch.randn(2, 3, 70, 90, generator=generator) for _ in range(2))
    with torch.no_grad():
        (edge, tested), trained = network.eval()(x), network.train()(x)[1]
        edges, moved = network.eval()(F.pad(pair, (0, 6, 0, 26)))
    edges = edges[..., :18, :23]
    arrays = {"x": x, "edge": edge, "disp_eval": tested, "disp_train": trained, "ed_input": pair,
              "ed_edge": torch.sigmoid(edges[0] / 2 + edges[1].flip(-1) / 2), "ed_disp": moved[0, :, :18, :23]}
    save_npz(tmp_path / "irn_irn_net.npz", ed_crop_size=np.array(96), **{k: v.numpy() for k, v in arrays.items()})
    checks = HANDLERS["irn_irn_net"](tmp_path / "irn_irn_net.npz")
    assert len(checks) == 5 and all(check.ok for check in checks), [c.name for c in checks if not c.ok]
