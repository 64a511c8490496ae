"""On a GPU: the same seed again, by the real command on a real notebook (`pytest -k cuda`; skipped without one)."""

import pytest
import torch

from tests.single_stage import chain
from wsnb.data.synthetic import make_voc
from wsnb.files import load_torch

SEEDS, BOUND = 3, 1e-3  # of any weight, where torch has no repeatable kernel, as for the cross-entropy of maps


def spread(data, folder, device, seed, deterministic) -> float:
    """Train twice; the largest difference of a weight."""
    ended = []
    for turn in ("first", "second"):
        runs = folder / f"{seed} {deterministic} {turn}"
        done = chain.run(data, runs, "--until", "01_train", "--device", device, seed=seed, deterministic=deterministic,
                         epochs=2)
        assert done.returncode == 0, done.stdout
        ended.append(load_torch(chain.stage(runs, "01_train") / "network.pth"))
    one, two = ended
    assert list(one) == list(two) and len(one) > 20
    return max(float((one[name].double() - two[name].double()).abs().max()) for name in one)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("deterministic", ["true", "false"])
def test_the_same_seed_again_on_cuda(deterministic, tmp_path):
    data = make_voc.shapes(tmp_path / "VOCdevkit", train=10, val=4, size=(64, 80))
    found = [spread(data, tmp_path, "cuda", seed, deterministic) for seed in range(SEEDS)]
    print(f"deterministic={deterministic}: largest difference of a weight {max(found):.2g} over {SEEDS} seeds, "
          f"{sum(value == 0 for value in found)} of them identical")
    assert max(found) <= BOUND
