"""Multi-scale inference against its plain formulation, and the label maps on disk."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from wsnb.data import voc
from wsnb.data.item import Item
from wsnb.files import read_index, save_png
from wsnb.ops import label_maps
from wsnb.ops.crf import CRF, crf_labels
from wsnb.papers.single_stage import inference, losses
from wsnb.papers.single_stage import model as networks
from wsnb.papers.single_stage.inference import Inference

SCALES, SIDE, POWER = [1, 0.5, 1.5], 96, 3
NO_CRF, FEW = CRF(iterations=0), CRF(iterations=2)


def small(model="single_stage"):
    torch.manual_seed(1)
    network = networks.build(model, "mobilenet_v2", n_classes=6, width=16, output_stride=16)[0]
    if model == "single_stage":  # else random logits are all alike
        network.last_conv[8].weight.data *= 30
        network.last_conv[8].bias.data = torch.tensor([2.0, -3.0, 1.0, 0.5, 1.5])
    return network.eval()


def picture(height=41, width=58, seed=0):
    rough = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), np.uint8)
    return np.array(Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC))


def plain(network, image, scales, padded, flip=True):
    """All classes, whole padded masks, all kept, averaged at the end; the background raised, no class gated."""
    height, width = image.shape[:2]
    merged, best = [], []
    for scale in scales:
        w, h = round(width * scale), round(height * scale)
        unit = np.array(Image.fromarray(image).resize((w, h), Image.Resampling.BICUBIC)) / np.float32(255)
        normal = (unit - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
        top, left = (padded - h) // 2, (padded - w) // 2
        for mirrored in (False, True) if flip else (False,):
            x = np.zeros((padded, padded, 3), np.float32)
            x[top:top + h, left:left + w] = normal[:, ::-1] if mirrored else normal
            with torch.no_grad():
                logits = network(torch.from_numpy(x).permute(2, 0, 1)[None])
            best.append(losses.class_scores(logits).sigmoid()[0])
            mask = F.interpolate(logits.softmax(1), size=(padded, padded), mode="bilinear", align_corners=True)
            mask = F.interpolate(mask[..., top:top + h, left:left + w], size=(height, width), mode="bilinear")
            merged.append(mask.flip(-1) if mirrored else mask)
    scores = torch.cat(merged).mean(0)
    scores[0] = scores[0] ** POWER
    return torch.stack(best).amax(0).numpy(), scores.numpy()


@pytest.mark.parametrize("flip", [True, False])
def test_scores_equal_the_plain_formulation(flip):
    network, image = small(), picture()
    best, everything = plain(network, image, SCALES, SIDE, flip)
    cut = float(np.sort(best)[1:3].mean())  # two of the five classes are gated out
    found, scores = Inference(network, SCALES, SIDE, flip, cut=cut)(image)
    np.testing.assert_allclose(found, best, atol=1e-5)
    allowed = np.concatenate([[True], best > cut])
    assert allowed.sum() == 4
    np.testing.assert_allclose(scores, everything * allowed[:, None, None], atol=1e-5)
    assert scores.shape == (6, 41, 58) and scores.dtype == np.float32


def test_given_tags_are_scored_beside_the_predicted():
    network, image = small(), picture()
    best, everything = plain(network, image, [1], SIDE)
    cut, lowest = float(np.sort(best)[-2:].mean()), int(best.argmin())
    tags = np.zeros(5, np.float32)
    tags[lowest] = 1
    _, scores = Inference(network, [1], SIDE, cut=cut)(image, tags)
    kept = [0, lowest + 1, int(best.argmax()) + 1]
    np.testing.assert_allclose(scores[kept], everything[kept], atol=1e-5)
    assert not np.delete(scores, kept, axis=0).any()


def test_no_class_above_the_cut_leaves_the_background():
    _, scores = Inference(small(), [1], SIDE, cut=1.0)(picture())
    assert not scores[1:].any() and scores[0].min() > 0


def test_baseline_scores():
    network, image = small("cam_baseline"), picture()
    found, scores = Inference(network, [1], 64, flip=False, cut=0.0, background_power=1, cam_background=0.2)(image)
    x, _ = inference.scaled_variants(image, [1], (64, 64), flip=False)
    with torch.no_grad():
        tags, activation = network(x)
    maps = F.interpolate(activation, size=(64, 64), mode="bilinear", align_corners=True).relu()
    maps = (maps / (1e-5 + maps.amax((2, 3), keepdim=True)))[0, :, 11:52, 3:61]
    np.testing.assert_allclose(found, tags.sigmoid()[0], atol=1e-6)
    np.testing.assert_allclose(scores[1:], maps, atol=1e-5)
    np.testing.assert_allclose(scores[0], 0.2, atol=1e-6)


def test_gate_and_power():
    scores = torch.tensor([0.5, 0.3, 0.2])[:, None, None]
    gated = inference.gate(inference.with_power(scores, 3).numpy(), [1, 0])
    assert gated[:, 0, 0].tolist() == pytest.approx([0.125, 0.3, 0])  # not normalised again
    assert inference.gate(scores.numpy(), np.array([True, True]))[:, 0, 0].tolist() == pytest.approx([0.5, 0.3, 0.2])
    assert scores[0, 0, 0] == 0.5


@pytest.mark.parametrize("height, scale, expected", [
    (333, 0.5, 166), (335, 0.5, 168), (375, 0.5, 188), (333, 1.5, 500)])
def test_sizes_round_half_to_even(height, scale, expected):
    x, pads = inference.scaled_variants(np.zeros((height, 20, 3), np.uint8), [scale], (512, 64))
    assert pads.tolist() == [[(512 - expected) // 2, (64 - round(20 * scale)) // 2, expected, round(20 * scale)]] * 2
    assert x.shape == (2, 3, 512, 64)


def test_variants_alternate_with_mirrors_on_a_zero_margin():
    image = picture(30, 41)
    x, pads = inference.scaled_variants(image, [1, 0.5], (48, 48))
    assert pads.tolist() == [[9, 3, 30, 41]] * 2 + [[16, 14, 15, 20]] * 2
    for i, (top, left, h, w) in enumerate(pads):
        inner = x[i, :, top:top + h, left:left + w]
        assert x[i].abs().sum() == pytest.approx(inner.abs().sum().item())
        if i % 2:
            assert torch.equal(inner.flip(-1), x[i - 1, :, top:top + h, left:left + w])


def test_a_picture_that_does_not_fit():
    for scale, padded in ((1.5, 80), (0.01, 96)):
        with pytest.raises(ValueError, match="41x58 at scale.*raise `padded_side` or lower `scales`"):
            Inference(small(), [scale], padded)(picture())
    inference.scaled_variants(picture(), [1.5], (62, 87))  # just fits: 41 * 1.5 = 61.5 -> 62


def test_training_mode_is_refused():
    with pytest.raises(ValueError, match="eval"):
        inference.predict(small().train(), torch.zeros(1, 3, 65, 65))


@pytest.fixture
def items(tmp_path):
    """Three pictures whose true class is 5, with void."""
    made = []
    for i in range(3):
        item = Item(f"p{i}", tmp_path / f"p{i}.png", tmp_path / f"p{i}_mask.png", None, None)
        save_png(item.image, picture(24 + i, 30, seed=i))
        truth = np.zeros((24 + i, 30), np.uint8)
        truth[4:9, 4:20], truth[9] = 5, 255
        save_png(item.mask, truth)
        made.append(item)
    return made


def write(items, folder, tag_sources=("predicted", "ground truth"), crf=NO_CRF, cut=0.1):
    """Write the label maps into FOLDER; returns how many pictures went through the network."""
    seen, infer = [], Inference(small(), [1, 0.5], 48, cut=cut)

    class Counted:
        cut = infer.cut

        def __call__(self, image, tags):
            seen.append(image)
            return infer(image, tags)

    assert len(list(inference.write_labels(Counted(), items, 6, tag_sources, crf, folder, workers=0))) == len(items)
    return len(seen)


def test_label_maps_equal_gate_and_winner(items, tmp_path):
    out = tmp_path / "out"
    assert write(items, out, crf=FEW, cut=0.3) == 3
    assert sorted(p.name for p in out.iterdir()) == ["masks", "masks_clean", "masks_clean_crf", "masks_crf"]
    for item in items:
        image = voc.read_image(item)
        best, scores = plain(small(), image, [1, 0.5], 48)
        for name, tags in (("masks", best > 0.3), ("masks_clean", np.array([0, 0, 0, 0, 1]))):
            gated = (scores * np.concatenate([[1], tags])[:, None, None]).astype(np.float32)
            assert np.array_equal(read_index(out / name / f"{item.id}.png"), gated.argmax(0))
            with_crf = read_index(out / f"{name}_crf" / f"{item.id}.png")
            assert (with_crf == crf_labels(image, gated, FEW)).mean() > 0.99


def test_clean_differs_from_predicted(items, tmp_path):
    write(items, tmp_path)
    maps = {name: [read_index(tmp_path / name / f"{item.id}.png") for item in items]
            for name in ("masks", "masks_clean")}
    assert all(set(np.unique(found)) <= {0, 5} for found in maps["masks_clean"])
    assert any(not np.array_equal(a, b) for a, b in zip(*maps.values(), strict=True))
    assert {int(v) for found in maps["masks"] for v in np.unique(found)} - {0, 5}


def test_finished_pictures_are_skipped(items, tmp_path):
    assert write(items, tmp_path, crf=FEW) == 3
    files = sorted(tmp_path.glob("masks*/*.png"))
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}
    assert len(files) == 12 and write(items, tmp_path, crf=FEW) == 0
    lost = tmp_path / "masks_clean" / "p1.png"
    lost.unlink()
    assert write(items, tmp_path, crf=FEW) == 1
    assert {path: path.read_bytes() for path in files} == {path: b for path, (_, b) in before.items()}
    assert all(path.stat().st_mtime_ns == t for path, (t, _) in before.items() if path.stem != "p1")


def test_truth_is_read_only_if_asked_for(items, tmp_path):
    for item in items:
        item.mask.unlink()
    assert write(items, tmp_path, tag_sources=("predicted",)) == 3
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["masks"]


def test_folders():
    assert inference.folders(["predicted"], 0) == ["masks"]
    assert inference.folders(["ground truth", "predicted"], 10) == [
        "masks_clean",
        "masks_clean_crf",
        "masks",
        "masks_crf",
    ]
    for wrong in ([], ["truth"]):
        with pytest.raises(ValueError, match="'predicted', 'ground truth'"):
            inference.folders(wrong, 0)


def test_crf_text():
    assert label_maps.crf_text(NO_CRF) == ""
    assert label_maps.crf_text(CRF()) == ("10 iterations, gaussian sxy 3 compat 3, bilateral sxy 80 srgb 13 compat 10")
