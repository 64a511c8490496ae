"""Where IRN enlarges its maps, on what it measures the mean displacement, which pictures it scores."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from tests import departures
from wsnb.data import read, transforms
from wsnb.data.item import Item
from wsnb.data.synthetic import make_voc
from wsnb.files import save_png
from wsnb.models import backbones
from wsnb.models.irnet import IRNet
from wsnb.ops import cam, crf
from wsnb.papers.no_people_allowed import cams, confident_labels, data, evaluate, irnet


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A tiny synthetic data set in VOC's layout."""
    return make_voc.shapes(tmp_path_factory.mktemp("voc") / "VOCdevkit", train=5, val=2, size=(50, 67))


def test_maps_are_enlarged_fourfold_and_cropped(tmp_path):
    maps, size = np.random.default_rng(0).random((2, 13, 17), dtype=np.float32), (50, 67)
    cam.write(tmp_path, "a", [0, 3], maps, size, irnet.reach(maps.shape[1:], size))
    grown = F.interpolate(torch.from_numpy(maps)[None], scale_factor=4, mode="bilinear")[0, :, :50, :67].numpy()
    assert np.abs(cam.read(tmp_path, "a")[1] - grown).max() < 2e-3
    cam.write(tmp_path, "b", [0, 3], maps, size)
    assert np.abs(cam.read(tmp_path, "b")[1] - grown).max() > 0.02  # resized as a whole: squeezed by 2 pixels
    half = cam.read(tmp_path, "a", (25, 34))[1]
    assert half.shape == (2, 25, 34) and np.abs(half - grown[:, ::2, ::2]).mean() < 0.1


def test_labels_and_scores_take_the_sum_at_the_pictures_size(tmp_path):
    """IRN enlarges each scale's map to the next multiples of 16, cuts off the surplus, then adds; the walk alone takes
    the sum at stride 4. The sum at stride 4, enlarged, gives other labels."""
    rng, size = np.random.default_rng(0), (50, 67)
    each = [rng.random((2, *shape), dtype=np.float32) for shape in ((4, 5), (2, 3), (7, 9))]
    cam.write(tmp_path, "a", [0, 3], each, size, cams.irn_cover(size), cams.stride_4(size))

    def added(height, width):
        grown = [F.interpolate(torch.from_numpy(one)[None], (height, width), mode="bilinear") for one in each]
        maps = sum(grown)[0, :, :50, :67].numpy()
        return maps / (maps.max((1, 2), keepdims=True) + 1e-5)

    small, whole = added(13, 17), added(64, 80)
    assert np.abs(cam.normalised(cam.read(tmp_path, "a", "stored")[1], "per class") - small).max() < 2e-3
    save_png(tmp_path / "a.png", np.zeros((*size, 3), np.uint8))
    item = Item("a", tmp_path / "a.png", None)
    thresholds = confident_labels.Thresholds("per class", 0.9, 0.6, 0.8)
    _, found = confident_labels.labels_from_cams(item, tmp_path, 0, 1.0, thresholds,
                                                 replace(crf.LABEL_CRF, iterations=0))
    wanted = cam.labels(whole, [1, 4], 0.8)
    stretched = cam.resized(torch.from_numpy(small)[None], size)[0].numpy()
    assert (found != wanted).mean() < 2e-3 < 0.03 < (cam.labels(stretched, [1, 4], 0.8) != wanted).mean()
    _, sweep = cams.sweeps(tmp_path, [item], lambda item: wanted, 6, "per class", 1, fixed=0.8)
    assert sweep.at(0.8).trace() > 0.998 * wanted.size


def test_maps_that_do_not_cover_their_picture():
    with pytest.raises(ValueError, match="too small for a picture"):
        irnet.reach((12, 17), (50, 67))


def test_squashed_pictures_are_resized_whole_and_others_covered():
    net, image = IRNet(backbones.build("tiny")).eval(), np.zeros((50, 67, 3), np.uint8)
    assert irnet.boundaries(net, image, side=64)[2] == (1.0, 1.0)
    assert irnet.boundaries(net, image)[2] == pytest.approx((52 / 50, 68 / 67))
    assert irnet.boundaries(net, image, scale=2.0)[2] == pytest.approx((1.0, 136 / 134))


def test_pictures_of_a_test_split_can_be_shown(root):
    """Nobody knows their classes: VOC's test pictures have neither masks nor tags."""
    items = [replace(item, mask=None) for item in read.items("voc", root, "train")]
    assert data.shown(items, "voc", 6, count=2) == items[:2]


class Elsewhere(torch.nn.Module):
    """An IRNet on another device, which takes inputs that are there."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1, device="meta"))

    def forward(self, x):
        assert x.device == self.weight.device
        return torch.zeros(len(x), 1, 4, 5), torch.zeros(len(x), 2, 4, 5)


def test_the_picture_goes_where_the_network_is():
    assert irnet.boundaries(Elsewhere(), np.zeros((16, 20, 3), np.uint8))[0].shape == (4, 5)


@pytest.mark.parametrize("scale, stored", [(0.53, 1), (1.37, 1), (1.37, 0.6)])
def test_crops_are_resized_as_pil_does(root, scale, stored):
    """IRN's pictures by PIL's bicubic, its labels by PIL's nearest to the same size, whatever theirs was; sides rounded
    half to even."""
    item = read.items("voc", root, "train")[0]
    image, label = read.image(item), read.mask("voc", item, 6)
    label = data.pil_fitted(label, [round(side * stored) for side in label.shape])
    sample = data.Crops([item], 120, label_of=lambda _: label, scales=(scale, scale))[0]
    inside = sample["x"].abs().sum(0) > 0  # x is 0 outside of the picture
    rows, columns = inside.any(1).nonzero()[:, 0], inside.any(0).nonzero()[:, 0]
    size = tuple(round(side * scale) for side in image.shape[1::-1])
    assert (len(columns), len(rows)) == size
    x, found = (sample[name][..., rows[0]: rows[-1] + 1, columns[0]: columns[-1] + 1] for name in ("x", "label"))
    wanted = torch.from_numpy(np.array(Image.fromarray(label).resize(size, Image.Resampling.NEAREST)))
    if not torch.equal(found, wanted.long()):  # mirrored
        x, found = x.flip(-1), found.flip(-1)
    picture = np.array(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    assert torch.equal(found, wanted.long())
    assert torch.equal(x, transforms.normalise(transforms.to_unit(picture)))


def test_the_mean_is_measured_on_every_picture_as_inference_sees_it(root):
    items = read.items("voc", root, "train")
    p = SimpleNamespace(irnet_side=80, irnet_batch=2, irnet_drop_last=False, workers=0, seed=0, irnet_style="crops")
    p_cam = SimpleNamespace(layout="voc", train_split="train", score_split="", limit=0, picture_scale=1.0)
    batches = list(irnet.mean_batches(p, p_cam, root))
    assert [name for batch in batches for name in batch["id"]] == [item.id for item in items]
    first = read.image(items[0])
    seen = data.TopLeft(items, 80)[0]["x"]
    plain = data.TopLeft(items, max(first.shape))[0]["x"]
    assert seen.shape == (3, 80, 80) and torch.equal(seen[:, :67, :67], plain[:, :67, :67])
    assert not plain[:, first.shape[0]:].any() and not plain[:, :, first.shape[1]:].any()
    p.irnet_style = "squashed"
    squashed, again = (list(irnet.mean_batches(p, p_cam, root)) for _ in range(2))
    assert all(torch.equal(a["x"], b["x"]) for a, b in zip(squashed, again, strict=True))
    net = IRNet(backbones.build("tiny"))
    irnet.measure_mean(net, batches, "cpu")
    with torch.no_grad():
        means = [net.train()(batch["x"])[1].mean((0, 2, 3)) for batch in batches]
    assert torch.allclose(net.branches.mean_shift.running_mean, torch.stack(means).mean(0), atol=1e-6)


def test_the_mean_is_that_of_the_scored_pictures(root):
    """IRN trains on trainaug and measures on its infer list, the 1,464 of train."""
    names = [item.id for item in read.items("voc", root, "train")]
    (root / "VOC2012/ImageSets/Segmentation/few.txt").write_text("\n".join(names[1:4]))
    p = SimpleNamespace(irnet_side=80, irnet_batch=2, irnet_drop_last=False, workers=0, seed=0, irnet_style="crops")
    p_cam = SimpleNamespace(layout="voc", train_split="train", score_split="few", limit=0, picture_scale=1.0)
    assert [name for batch in irnet.mean_batches(p, p_cam, root) for name in batch["id"]] == names[1:4]
    values = departures.values("no_people_allowed/voc12_irn")
    assert (values["train_split"], values["score_split"]) == ("trainaug", "train")


@pytest.mark.parametrize("held_out", ["val", "val:few.txt", "lists/val500.txt", "test", "minival2014"])
def test_held_out_pictures_choose_no_threshold(held_out):
    with pytest.raises(ValueError, match=f"score_split '{held_out}': the thresholds would be chosen on pictures that"):
        read.need_tuning_split("score_split", held_out, "the thresholds")
    for split in ("train", "trainaug", "train:val_like.txt", "irn_list_nohuman_confident_0.8"):
        read.need_tuning_split("score_split", split, "the thresholds")


def test_masks_that_chose_a_threshold_are_paid(root):
    items = read.items("voc", root, "train")
    paid = evaluate.annotations(items, items[:4], ("background", "a", "b"), tune_every=3)
    assert paid == {"pictures": 5, "tags": 10, "masks": 2}  # pictures 0 and 3


def test_only_the_named_split_is_scored(root):
    items, few = read.items("voc", root, "train"), read.items("voc", root, "val")
    assert data.of_split(items, "voc", root) == items
    both = [*items, *few]
    assert [item.id for item in data.of_split(both, "voc", root, "val")] == [item.id for item in few]
    with pytest.raises(ValueError, match="score_split 'val'"):
        data.of_split(items, "voc", root, "val")
