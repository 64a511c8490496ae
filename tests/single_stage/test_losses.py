"""Class scores, pseudo labels and losses on cases small enough to compute on paper."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from wsnb.data.item import Item
from wsnb.papers.single_stage import losses, steps
from wsnb.papers.single_stage.losses import Settings
from wsnb.papers.single_stage.model import CAMBaseline


def test_ngwp_and_penalty_on_two_pixels():
    logits = torch.tensor([[1.0, 1.0], [3.0, -1.0]]).view(1, 2, 1, 2)  # background, one class; two pixels
    first, second = 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(2))
    masks = logits.softmax(1)
    size = masks.mean((2, 3))
    assert size[0, 1].item() == pytest.approx((first + second) / 2)
    pooled, penalty = losses.ngwp(logits, masks), losses.focal_penalty(size)
    assert pooled[0, 1].item() == pytest.approx((3 * first - second) / (1 + first + second), rel=1e-6)
    assert penalty[0, 1].item() == pytest.approx(0.5 ** 3 * math.log(0.51), rel=1e-6)
    assert losses.class_scores(logits).item() == pytest.approx((pooled + penalty)[0, 1].item())


def test_penalty_from_log_of_the_floor_to_zero():
    size = torch.linspace(0, 1, 200)
    penalty = losses.focal_penalty(size)
    assert penalty[0].item() == pytest.approx(math.log(0.01)) and penalty[-1].item() == 0
    assert (penalty[1:150] > penalty[:149]).all() and (penalty <= 1e-6 + 0 * size).all()
    assert losses.focal_penalty(torch.tensor(0.5), 1, 0.1).item() == pytest.approx(0.5 * math.log(0.6))


def test_scores_are_differentiable_through_the_masks():
    logits = torch.zeros(1, 3, 2, 2, requires_grad=True)
    losses.class_scores(logits)[0, 0].backward()
    assert logits.grad[0, 1].abs().min() > 0 and logits.grad[0, 2].abs().min() > 0


def test_tag_loss_by_hand():
    scores, tags = torch.tensor([[2.0, -1.0]]), torch.tensor([[1.0, 0.0]])
    expected = (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 2
    assert losses.tag_loss(scores, tags).item() == pytest.approx(expected)


def test_clean_keeps_the_background_and_the_tagged():
    cleaned = losses.clean(torch.ones(2, 4, 1, 1), torch.tensor([[0.0, 1, 0], [0, 0, 0]]))
    assert cleaned[..., 0, 0].tolist() == [[1, 0, 1, 0], [1, 0, 0, 0]]


def row(*channels):
    """Masks [1, C, 1, W] from a row of values per class."""
    return torch.tensor(channels, dtype=torch.float32)[None, :, None]


def test_pseudo_labels_want_strictly_more_than_the_share_of_the_peak():
    chosen = losses.pseudo_labels(row([0, 0, 0, 0], [1.0, 0.6, 0.61, 0.59]))
    assert chosen.dtype == torch.uint8 and chosen[0, 1, 0].tolist() == [1, 0, 1, 0]
    assert losses.pseudo_labels(row([1.0, 0.7, 0.71, 0.6], [0.0] * 4))[0, 0, 0].tolist() == [1, 0, 1, 0]


def test_pseudo_labels_never_below_the_floor():
    chosen = losses.pseudo_labels(row([0.0] * 4, [0.2, 0.1, 0.15, 0.2], [0.21, 0.2, 0.0, 0.0]))
    assert chosen[0, 1, 0].tolist() == [0, 0, 0, 0] and chosen[0, 2, 0].tolist() == [1, 0, 0, 0]


def test_pixels_that_two_classes_claim_are_cleared():
    chosen = losses.pseudo_labels(row([0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.0, 0.0, 0.5]))
    assert chosen[0, :, 0].tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_peaks_are_per_picture():
    chosen = losses.pseudo_labels(torch.cat([row([0.0, 0.0], [1.0, 0.5]), row([0.0, 0.0], [0.5, 0.5])]))
    assert chosen[:, 1, 0].tolist() == [[1, 0], [1, 1]]


PSEUDO = torch.tensor([[1, 1, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]], dtype=torch.uint8)[None, :, None]
LOGITS = torch.tensor([[1.0] * 5, [0.0, 2.0, -1.0, 0.5, 9.0], [0.3] * 5])[None, :, None]


def test_balanced_loss_by_hand():
    found = losses.balanced_mask_loss(LOGITS, PSEUDO, torch.tensor([[1.0, 0.0]]))
    each = -LOGITS.log_softmax(1)[0, :, 0]
    weight = [(4 - 3) / (1 + 4), (4 - 1) / (1 + 4)]  # three pixels of the background, one of class 1, one ignored
    expected = (weight[0] * each[0, :3].sum() + weight[1] * each[1, 3]) / 5  # the ignored pixel is counted
    assert found.shape == (1,) and found.item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("tags, complete", [([1, 0], True), ([0, 1], True), ([1, 1], False), ([0, 0], False)])
def test_pictures_without_all_their_tags_count_as_zero(tags, complete):
    """As in the original only the number of classes is compared, after cleaning by the tags."""
    loss = losses.balanced_mask_loss(LOGITS, PSEUDO, torch.tensor([tags], dtype=torch.float32))
    assert (loss.item() > 0) == complete


def test_ignored_pixels_have_no_gradient():
    logits = LOGITS.clone().requires_grad_()
    losses.balanced_mask_loss(logits, PSEUDO, torch.tensor([[1.0, 0.0]])).sum().backward()
    assert not logits.grad[..., 4].any() and logits.grad[..., :4].abs().min() > 0


def test_logits_are_enlarged_with_aligned_corners():
    logits, pseudo = torch.randn(1, 3, 2, 3), torch.zeros(1, 3, 5, 9, dtype=torch.uint8)
    pseudo[:, 0, :, :4], pseudo[:, 2, :, 5:] = 1, 1
    large = torch.nn.functional.interpolate(logits, size=(5, 9), mode="bilinear", align_corners=True)
    tags = torch.tensor([[0.0, 1.0]])
    assert losses.balanced_mask_loss(logits, pseudo, tags).item() == pytest.approx(
        losses.balanced_mask_loss(large, pseudo, tags).item(), rel=1e-6)


@pytest.mark.parametrize("tags", [[[0.0, 0.0]], [[1.0, 1.0]]])
def test_all_ignored_is_zero_and_finite(tags):
    logits = LOGITS.clone().requires_grad_()
    loss = losses.balanced_mask_loss(logits, torch.zeros_like(PSEUDO), torch.tensor(tags))
    loss.mean().backward()
    assert loss.item() == 0 and not logits.grad.any()


@pytest.mark.parametrize("case", ["no tag", "all tags", "flat", "huge logits"])
def test_odd_batches_stay_finite(case):
    torch.manual_seed(0)
    logits, tags = torch.randn(2, 5, 6, 6), torch.zeros(2, 4)
    if case == "all tags":
        tags += 1
    elif case == "flat":
        logits = torch.zeros(2, 5, 6, 6)
    elif case == "huge logits":
        logits, tags[0, 2] = 1e4 * logits, 1
    logits.requires_grad_()
    settings = Settings(dilations=(1, 2), iterations=2)
    refined, pseudo = losses.refined_pseudo_labels(torch.full((2, 3, 24, 24), 0.5), logits, tags, (24, 24), settings)
    total = (losses.tag_loss(losses.class_scores(logits), tags)
             + losses.balanced_mask_loss(logits, pseudo, tags).mean())
    total.backward()
    assert torch.isfinite(total) and torch.isfinite(logits.grad).all() and torch.isfinite(refined).all()
    assert not refined.requires_grad
    if case == "no tag":
        assert not pseudo[:, 1:].any()


def test_refining_only_tagged_classes_changes_nothing():
    """Classes without a tag anywhere in the batch are not refined: they are cleared anyway."""
    torch.manual_seed(1)
    image, logits = torch.rand(2, 3, 20, 20), torch.randn(2, 6, 10, 10)
    tags = torch.tensor([[1.0, 0, 0, 0, 0], [0, 0, 1, 0, 0]])
    settings = Settings(dilations=(1, 2), iterations=3)
    refined, _ = losses.refined_pseudo_labels(image, logits, tags, (20, 20), settings)
    small = torch.nn.functional.interpolate(image, size=(10, 10), mode="bilinear", align_corners=True)
    whole = losses.pamr(small, logits.softmax(1), (1, 2), 3)
    whole = torch.nn.functional.interpolate(whole, size=(20, 20), mode="bilinear", align_corners=True)
    torch.testing.assert_close(refined, losses.clean(whole, tags), rtol=0, atol=1e-6)


def test_settings_from_parameters_keep_their_places():
    from types import SimpleNamespace

    p = SimpleNamespace(focal_power=1.0, focal_floor=2.0, mask_weight=3.0, pseudo_background=4.0, pseudo_foreground=5.0,
                        pseudo_floor=6.0, pamr_iterations=7, pamr_dilations=[8, 9])
    assert losses.settings_from(p) == Settings(focal_power=1.0, focal_floor=2.0, mask_weight=3.0, background=4.0,
                                              foreground=5.0, floor=6.0, iterations=7, dilations=(8, 9))


def test_validation_sees_whole_pictures_or_crops(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    Image.fromarray(image[..., 0] % 3).save(tmp_path / "mask.png")
    items = [Item("a", tmp_path / "a.png", tmp_path / "mask.png")]
    seen = {whole: [steps.Samples(items, 20, 3, 0, epoch, augment=not whole)[0]["image"] for epoch in (0, 1)]
            for whole in (True, False)}
    wanted = np.array(Image.fromarray(image).resize((20, 20), Image.Resampling.BICUBIC)) / np.float32(255)
    assert all((one.permute(1, 2, 0).numpy() == wanted).all() for one in seen[True])
    assert not torch.equal(*seen[False])


def test_validation_is_a_mean_over_batches_or_over_pictures():
    """Three pictures in batches of two and one: the picture that is alone counts as much as the other two together, or
    as one of them."""
    class Scores(CAMBaseline):
        def __init__(self):
            torch.nn.Module.__init__(self)
            self.place = torch.nn.Parameter(torch.zeros(()))  # says which device the network is on

        def train(self, mode=True):
            return self

        def forward(self, x):
            return x[:, :2, 0, 0], None

    x = torch.zeros(3, 3, 1, 1)
    x[2, 0] = 5.0
    tags = torch.tensor([[1.0, 0.0]] * 3)
    batches = [{"x": x[part], "image": x[part], "tags": tags[part]} for part in (slice(0, 2), slice(2, 3))]
    each = losses.tag_loss(x[:1, :2, 0, 0], tags[:1]), losses.tag_loss(x[2:, :2, 0, 0], tags[2:])
    for of_batches, weight in ((True, 1), (False, 2)):
        found = steps.validate(Scores(), batches, of_batches=of_batches)
        mean = float(weight * each[0] + each[1]) / (weight + 1)
        assert found["tag_loss"] == pytest.approx(mean) and found["loss"] == found["tag_loss"]
