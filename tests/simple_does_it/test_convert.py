"""TensorFlow's tensors in real .npz files: TF-slim's VGG-16, and the released 4-channel network. The names and shapes
are written here a second time, as the original programs have them."""

import sys
import types

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from wsnb.files import FileError, save_npz, save_torch
from wsnb.papers.simple_does_it import instances
from wsnb.papers.simple_does_it import model as convert
from wsnb.papers.simple_does_it.model import BoxNetwork, VGGStages

CONVOLUTIONS = [(1, 1, 4, 64), (1, 2, 64, 64), (2, 1, 64, 128), (2, 2, 128, 128), (3, 1, 128, 256), (3, 2, 256, 256),
                (3, 3, 256, 256), (4, 1, 256, 512), (4, 2, 512, 512), (4, 3, 512, 512), (5, 1, 512, 512),
                (5, 2, 512, 512), (5, 3, 512, 512)]  # stage, number, inputs, outputs
SIDES = ("conv2_2_16", "conv3_3_16", "conv4_3_16", "conv5_3_16")


def tensors(scope, inputs):
    """The 13 convolutions as TensorFlow has them: [h, w, in, out]."""
    rng, found = np.random.default_rng(0), {}
    for stage, k, before, after in CONVOLUTIONS:
        shape = (3, 3, inputs if (stage, k) == (1, 1) else before, after)
        name = f"{scope}/conv{stage}/conv{stage}_{k}"
        found[f"{name}/weights"] = rng.standard_normal(shape, np.float32) * 0.02
        found[f"{name}/biases"] = rng.standard_normal(after, np.float32)
    return found


@pytest.fixture(scope="module")
def released():
    """Names of the released checkpoint: 44 variables that learn, 8 kernels that do not, and the step."""
    rng, found = np.random.default_rng(1), tensors("weak", 4)
    for name, channels in zip(SIDES, (128, 256, 512, 512), strict=True):
        found[f"weak/{name}/weights"] = rng.standard_normal((3, 3, channels, 16), np.float32)
        found[f"weak/{name}/biases"] = rng.standard_normal(16, np.float32)
        score = f"weak/score-dsn_{name[4]}"
        found[f"{score}/weights"] = rng.standard_normal((1, 1, 16, 1), np.float32)
        found[f"{score}/biases"] = rng.standard_normal(1, np.float32)
    found["weak/upscore-fuse/weights"] = rng.standard_normal((1, 1, 64, 1), np.float32)
    found["weak/upscore-fuse/biases"] = rng.standard_normal(1, np.float32)
    assert len(found) == 44
    return found | {f"weak/score-multi{k}-up/weights": np.zeros((4, 4, 16, 16), np.float32) for k in range(2, 6)}


def test_the_released_network_loads_strictly_and_computes(tmp_path, released):
    save_npz(tmp_path / "weak.npz", **released, global_step=np.int64(50000))
    assert convert.main([str(tmp_path / "weak.npz"), str(tmp_path / "out.npz")]) == 0
    network = BoxNetwork(VGGStages())
    network.load_state_dict(convert.any_network_state(tmp_path / "out.npz"), strict=True)
    x = torch.randn(1, 4, 9, 11)
    kernel = torch.from_numpy(released["weak/conv1/conv1_1/weights"])
    wanted = torch.einsum("bcyxhw,hwco->boyx", F.pad(x, (1, 1, 1, 1)).unfold(2, 3, 1).unfold(3, 3, 1), kernel)
    assert torch.allclose(network.body.conv1_1(x) - network.body.conv1_1.bias.view(1, -1, 1, 1), wanted, atol=1e-4)
    main, sides = network(x)
    assert main.shape == (1, 1, 9, 11) and len(sides) == 4


def test_slim_vgg_gets_a_fourth_channel(tmp_path):
    slim = tensors("vgg_16", 3) | {"vgg_16/fc6/weights": np.zeros((7, 7, 2, 2), np.float32)}
    save_npz(tmp_path / "vgg_16.npz", **slim)
    state, origin = instances.surgery("vgg16", str(tmp_path / "vgg_16.npz"), 0, 0.001, 0)
    VGGStages().load_state_dict(state, strict=True)
    first = slim["vgg_16/conv1/conv1_1/weights"]
    assert origin == "vgg_16.npz" and np.array_equal(state["conv1_1.weight"][5, 2].numpy(), first[:, :, 2, 5])
    assert 0.0005 < state["conv1_1.weight"][:, 3].std() < 0.0015


def test_torchvision_vgg(tmp_path):
    """The same features of one picture, in torchvision's normalisation and in this chapter's."""
    from torchvision.models import vgg16

    model = vgg16(weights=None)
    save_torch(tmp_path / "vgg16.pth", model.state_dict())
    state, _ = convert.vgg_state(tmp_path / "vgg16.pth")
    image = torch.randint(0, 256, (1, 3, 32, 32), generator=torch.Generator().manual_seed(0)).float()
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    ours = VGGStages(3)
    ours.load_state_dict(state, strict=True)
    found, theirs = ours(image - 255 * mean)[-1], model.features[:30]((image / 255 - mean) / deviation)
    assert theirs.abs().max() > 1e-3 and torch.allclose(found, theirs, atol=1e-5)


def test_a_checkpoint_through_tensorflow(tmp_path, released, monkeypatch):
    """TensorFlow's reader replaced by one with the same two methods; without TensorFlow the message names the way."""
    path = tmp_path / "vgg_16_4chan_weak.ckpt-50000"
    with pytest.raises(FileError, match="needs TensorFlow.*model vgg_16_4chan_weak.ckpt-50000"):
        convert.read_tensors(path)
    reader = types.SimpleNamespace(get_variable_to_shape_map=lambda: {k: v.shape for k, v in released.items()},
                                   get_tensor=released.get)
    opened = []
    train = types.SimpleNamespace(load_checkpoint=lambda place: opened.append(place) or reader)
    monkeypatch.setitem(sys.modules, "tensorflow", types.SimpleNamespace(train=train))
    monkeypatch.setitem(sys.modules, "tensorflow.train", train)
    assert len(convert.network_state(f"{path}.index")) == 44 and opened == [str(path)]


def test_what_is_missing_is_named(tmp_path, released):
    save_npz(tmp_path / "a.npz", **{k: v for k, v in released.items() if "upscore" not in k})
    with pytest.raises(FileError, match="a.npz: 2 variables.*weak/upscore-fuse/weights"):
        convert.network_state(tmp_path / "a.npz")
    save_npz(tmp_path / "b.npz", other=np.zeros(3, np.float32))
    with pytest.raises(FileError, match="b.npz: 26 of VGG-16's tensors are missing, first vgg_16/conv1/"):
        convert.vgg_state(tmp_path / "b.npz")
    assert convert.main(["only one"]) == 2
