"""Segmenters on any backbone: crops, the loss that skips void, resumable training, prediction, scores of label maps."""

import numpy as np
import pytest
import torch

from wsnb import metrics
from wsnb.data import read, voc
from wsnb.data.item import Item
from wsnb.files import FileError, save_png
from wsnb.models import backbone_wrapper, heads, training
from wsnb.models.backbones import build as backbone
from wsnb.ops import label_maps, segmentation


@pytest.fixture
def scenes(tmp_path):
    """Three pictures of 40 x 56: class 1 (red) left, class 2 (blue) right, a void column between."""
    made = []
    for k in range(3):
        image = np.zeros((40, 56, 3), np.uint8)
        mask = np.zeros((40, 56), np.uint8)
        mask[4:36, 4 + k : 24], mask[4:36, 30:52], mask[:, 26] = 1, 2, 255
        image[mask == 1, 0], image[mask == 2, 2], image[mask == 0] = 230, 230, 90
        save_png(tmp_path / f"{k}.png", mask)
        from PIL import Image

        Image.fromarray(image).save(tmp_path / f"{k}.bmp")
        made.append(Item(f"p{k}", tmp_path / f"{k}.bmp", tmp_path / f"{k}.png", None, None))
    return made


def label_of(item):
    return voc.read_mask(item, 3)


def test_crops_are_functions_of_seed_epoch_and_index(scenes):
    crops = [segmentation.LabelledCrops(scenes, label_of, 32, seed=4, epoch=1)[2] for _ in range(2)]
    assert torch.equal(crops[0]["x"], crops[1]["x"]) and torch.equal(crops[0]["label"], crops[1]["label"])
    other = segmentation.LabelledCrops(scenes, label_of, 32, seed=4, epoch=2)[2]
    assert not torch.equal(crops[0]["x"], other["x"])


def test_crops_keep_picture_and_label_together(scenes):
    for epoch in range(12):
        sample = segmentation.LabelledCrops(scenes, label_of, 48, epoch=epoch, scales=(0.5, 2.0))[0]
        assert sample["x"].shape == (3, 48, 48) and sample["label"].shape == (48, 48)
        red = sample["x"][0] - sample["x"][2]
        for label, sign in ((1, 1), (2, -1)):
            inside = sample["label"] == label
            assert inside.sum() < 20 or (sign * red[inside] > 0.5).float().mean() > 0.8


def test_small_pictures_are_padded_with_void(scenes):
    sample = segmentation.LabelledCrops(scenes, label_of, 64, scales=(1.0, 1.0), flip=False)[0]
    assert (sample["label"][40:] == 255).all() and (sample["label"][:, 56:] == 255).all()
    assert (sample["x"][:, 40:] == 0).all() and set(sample["label"][:40, :56].unique().tolist()) == {0, 1, 2, 255}


def test_a_label_map_of_another_size_is_resized(scenes):
    sample = segmentation.LabelledCrops(scenes, lambda item: label_of(item)[::2, ::2], 40, scales=(1.0, 1.0))[1]
    assert {1, 2} <= set(sample["label"].unique().tolist())


def test_loss_is_the_mean_over_pixels_that_count():
    logits = torch.randn(2, 3, 5, 6, requires_grad=True)
    label = torch.randint(0, 3, (2, 5, 6))
    label[0, :2] = 255
    plain = torch.nn.functional.cross_entropy(logits, label, ignore_index=255)
    assert torch.allclose(segmentation.loss(logits, label), plain)
    nothing = segmentation.loss(logits, torch.full_like(label, 255))
    nothing.backward()
    assert nothing.item() == 0 and (logits.grad == 0).all()


def test_poly():
    assert [segmentation.poly(k, 4) for k in (0, 4, 9)] == [1, 0, 0]
    assert segmentation.poly(1, 4) == pytest.approx(0.75**0.9)


@pytest.mark.parametrize("head", ["largefov", "aspp"])
@pytest.mark.parametrize("body", ["tiny", "mobilenet_v2", "vgg16"])
def test_heads_fit_backbones(head, body):
    network, origin = heads.build(head, body, 4, width=8)
    assert origin == "random"
    logits = network.eval()(torch.randn(1, 3, 64, 80))
    assert logits.shape[:2] == (1, 4) and logits.shape[2] in (4, 8) and torch.isfinite(logits).all()


@pytest.mark.parametrize("head, rates, dead", [("largefov", [6], 8), ("largefov", [5], 0), ("aspp", [2, 6, 9], 16),
                                               ("deeplabv3plus", [1, 5, 6], 8)])
def test_taps_beyond_the_map_never_learn_and_are_warned_of(head, rates, dead):
    torch.manual_seed(0)
    network, _ = heads.build(head, "tiny", 4, width=8, freeze=False, rates=rates)
    crop = 6 * network.stride
    network(torch.randn(2, 3, crop, crop)).square().sum().backward()
    dilated = [layer.weight.grad for layer in network.head.modules()
               if isinstance(layer, torch.nn.Conv2d) and layer.kernel_size == (3, 3) and layer.dilation[0] in rates][:3]
    assert sum(int((gradient == 0).all(dim=(0, 1)).sum()) for gradient in dilated) == dead
    assert heads.dead_taps(rates, crop, network.stride) == (dead, 9 * len(rates))
    said = []
    heads.warn_of_dead_taps(rates, crop, network.stride, said.append)
    wanted = f"warning: {dead} of {9 * len(rates)} taps of head_rates {rates} never learn"
    assert [line[:len(wanted)] for line in said] == [wanted] * (dead > 0)


def test_rates_of_heads():
    assert heads.rates_of("deeplabv3plus", 16) == (6, 12, 18) and heads.rates_of("largefov", 8) == (12,)
    for head, rates in (("largefov", [6, 12]), ("deeplabv3plus", [6]), ("aspp", [0])):
        with pytest.raises(ValueError, match=r"head_rates .*the head .* has [134], each 1 or more"):
            heads.build(head, "tiny", 3, rates=rates)


def test_largefov_dilates_fc6_of_vgg16():
    network, _ = heads.build("largefov", "vgg16", 4)
    assert network.fc6.dilation == (12, 12) == network.fc6.padding
    plain, _ = heads.build("aspp", "vgg16", 4)
    assert plain.fc6.dilation == (1, 1)
    network.eval()
    with torch.no_grad():  # 12 places away at stride 8
        features = torch.zeros(1, 512, 51, 51)
        before = network.fc6(features)[0, :, 25, 25]
        features[..., 25, 37] = 1
        assert not torch.equal(network.fc6(features)[0, :, 25, 25], before)


def test_largefov_on_vgg16_is_that_of_deeplab():
    """pool5 (maximum) and pool5a (mean, zeros counted) before fc6, dropout of single values behind fc6 and fc7."""
    torch.manual_seed(0)
    network, _ = heads.build("largefov", "vgg16", 4, freeze=False)
    x = torch.randn(1, 3, 40, 56)
    seen = {}
    for layer in (network.conv5_3, network.fc6, network.fc7, network.head.fc8):
        layer.register_forward_hook(lambda layer, given, out: seen.update({layer: (given[0], out)}))
    network.eval()(x)
    relu = seen[network.conv5_3][1].relu()
    padded = torch.nn.functional.pad(relu, (1, 1, 1, 1), value=float("-inf"))
    largest = padded.unfold(2, 3, 1).unfold(3, 3, 1).amax((-1, -2))
    mean = torch.nn.functional.pad(largest, (1, 1, 1, 1)).unfold(2, 3, 1).unfold(3, 3, 1).mean((-1, -2))
    torch.testing.assert_close(seen[network.fc6][0], mean)
    network.train()(x)
    for layer, behind in ((network.fc6, network.fc7), (network.fc7, network.head.fc8)):
        before, kept = seen[layer][1].relu(), seen[behind][0]
        dropped = (kept == 0) & (before > 0)
        share = dropped.sum((0, 2, 3))[(before > 0).all(3).all(2)[0]] / before[0, 0].numel()
        assert len(share) > 9 and 0 < share.min() and share.max() < 1  # single values, not whole channels
        torch.testing.assert_close(kept[~dropped], 2 * before[~dropped])
    assert not any(isinstance(module, torch.nn.AvgPool2d) for module in heads.build("aspp", "vgg16", 4)[0].modules())


def test_unknown_head_and_foreign_checkpoint(tmp_path):
    with pytest.raises(ValueError, match="largefov"):
        heads.build("fcn", "tiny", 3)
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(FileError, match="a.pth"):
        heads.build("largefov", "tiny", 3, width=8, checkpoint=tmp_path / "a.pth")


class Killed(Exception):
    pass


def trained(scenes, path, epochs=3, kill_at=None):
    training.seed_everything(0)
    network, _ = heads.build("largefov", "tiny", 3, width=8, freeze=False)
    optimiser = torch.optim.SGD(backbone_wrapper.parameter_groups(network, 0.1, 0.0, 1), lr=0.1, momentum=0.9)
    run = training.Training(path, every_seconds=-1, log=lambda text: None, network=network, optimiser=optimiser)
    done = []

    def loader_of(epoch, first):
        crops = segmentation.LabelledCrops(scenes * 4, label_of, 32, epoch=epoch, scales=(0.8, 1.2))
        return training.batches(crops, training.epoch_order(12, 0, epoch), 4, first)

    def step(batch):
        done.append(1)
        if len(done) == kill_at:
            raise Killed
        return segmentation.loss(network(batch["x"]), batch["label"])

    network.train()
    segmentation.fit(run, optimiser, step, loader_of, epochs, 3, lambda x, total, what: x, device="cpu")
    return network, run, done


def test_fit_learns_and_continues_to_the_same_weights(scenes, tmp_path):
    whole, run, _ = trained(scenes, tmp_path / "whole.pt", epochs=6)
    losses = [row["loss"] for row in run.kept["epochs"]]
    assert len(losses) == 6 and losses[-1] < 0.9 * losses[0]
    with pytest.raises(Killed):
        trained(scenes, tmp_path / "killed.pt", epochs=6, kill_at=8)
    again, _, done = trained(scenes, tmp_path / "killed.pt", epochs=6)
    assert len(done) == 18 - 7
    for (name, one), two in zip(whole.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(one, two), name


def test_prediction_equals_the_plain_formulation(scenes):
    network, _ = heads.build("aspp", "tiny", 3, freeze=False)
    with pytest.raises(ValueError, match="eval"):
        segmentation.predict(network.train(), read.image(scenes[0]))
    image = read.image(scenes[0])
    found = segmentation.predict(network.eval(), image, scales=(1.0,), flip=True)
    from wsnb.data.transforms import normalise, to_unit

    x = normalise(to_unit(image))[None]
    with torch.no_grad():
        plain = (network(x).softmax(1) + network(x.flip(-1)).softmax(1).flip(-1)) / 2
    plain = heads.upsample(plain, image.shape[:2])[0].numpy()
    assert found.shape == (3, 40, 56) and np.abs(found - plain).max() < 1e-5
    many = segmentation.predict(network, image, scales=(0.5, 1.0), flip=True)
    assert np.abs(many.sum(0) - 1).max() < 1e-5
    gated = segmentation.predict(network, image, tags=np.array([0, 1]))
    assert (gated[1] == 0).all() and np.abs(gated.sum(0) - 1).max() < 1e-5


def test_label_maps_and_their_scores(scenes, tmp_path):
    asked = []

    def truth(item):
        asked.append(item.id)
        scores = np.eye(3, dtype=np.float32)[np.where(label_of(item) == 255, 0, label_of(item))].transpose(2, 0, 1)
        return read.image(item), scores

    folder = tmp_path / "masks"
    for workers in (1, 2):  # the second time every file is there, and nothing is asked for
        assert len(list(label_maps.write_labels(label_maps.winners, scenes, [folder], workers, truth))) == 3
        assert asked == [item.id for item in scenes]
    (folder / f"{asked.pop()}.png").unlink()
    assert len(list(label_maps.write_labels(label_maps.winners, scenes, [folder], 2, truth))) == 3
    assert asked == [item.id for item in scenes]
    tables, rows = label_maps.confusions(scenes, label_of, {"truth": folder, "background": None}, 3)
    assert label_maps.miou_row(tables["truth"], None, ("a", "b", "c"))["value"] == 100
    assert np.diag(metrics.total(tables["truth"])).sum() == tables["background"].sum() == 3 * (40 * 56 - 40)
    assert [row["mIoU"] for row in rows if row["kind"] == "truth"] == [1.0] * 3
    assert label_maps.undefined(np.diag([3, 0, 2]), ("a", "b", "c")) == ["b"]
    with pytest.raises(FileError):
        label_maps.confusions(scenes, label_of, {"none": tmp_path / "nowhere"}, 3)


def test_optimisers():
    network, _ = heads.build("aspp", "tiny", 3, freeze=False)
    groups = backbone_wrapper.parameter_groups(network, 0.1, 0.01, bias_multiplier=2, new_multiplier=5)
    for kind, cls in (("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)):
        made = backbone_wrapper.optimiser(kind, [dict(group) for group in groups])
        assert isinstance(made, cls) and [g["lr"] for g in made.param_groups] == pytest.approx([0.1, 0.2, 0.5, 1.0])
        assert [g["weight_decay"] for g in made.param_groups] == [0.01, 0.0, 0.01, 0.0]
    with pytest.raises(ValueError, match="adamw"):
        backbone_wrapper.optimiser("lion", groups)


def test_classifier_logits_are_means_of_its_activations():
    network = heads.Classifier(backbone("tiny"), 4, freeze=False).eval()
    x = torch.randn(2, 3, 48, 64)
    maps = network.activations(x)
    assert torch.allclose(network(x), maps.mean((2, 3)), atol=1e-5)
    logits, same = network.scores_and_activations(x)
    assert torch.equal(logits, network(x)) and torch.equal(same, maps)
    tags, scores = heads.tag_scores(network.train(), [{"x": x, "tags": torch.ones(2, 4)}])
    assert network.training and np.allclose(scores, logits.sigmoid().detach().numpy(), atol=1e-6)
    assert tags.shape == (2, 4)
