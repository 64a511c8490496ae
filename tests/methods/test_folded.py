"""Networks with their normalisations folded in give the same output."""

import pytest
import torch
from torch import nn

from wsnb.methods.folded import folded


class Net(nn.Module):
    """Directly followed, used twice, and not followed convolutions."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.block = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8), nn.ReLU())
        self.shared, self.after = nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8)
        self.before = nn.BatchNorm2d(8)

    def forward(self, x):
        x = self.block(self.bn1(self.conv1(x)).relu())
        return self.shared(self.before(self.after(self.shared(x)).relu()))


def seen(network):
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(4, 3, 16, 16) * 2 + 1)
    return network.eval()


def test_the_same_output_with_fewer_normalisations():
    torch.manual_seed(0)
    network = seen(Net())
    merged, x = folded(network, torch.randn(1, 3, 16, 16)), torch.randn(2, 3, 20, 12)
    assert torch.allclose(merged(x), network(x), atol=1e-5) and network(x).std() > 0.1
    kept = [name for name, module in merged.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert kept == ["after", "before"]  # a convolution that runs twice, and no convolution before it
    assert isinstance(network.bn1, nn.BatchNorm2d)  # the original is untouched


def test_a_convolution_whose_output_is_used_otherwise_is_found_out():
    class Used(Net):
        def forward(self, x):
            y = self.conv1(x)
            return self.bn1(y) + y

    with pytest.raises(ValueError, match="predict with the network as it is"):
        folded(seen(Used()), torch.randn(1, 3, 16, 16))
    with pytest.raises(ValueError, match="eval"):
        folded(Net().train(), torch.randn(1, 3, 16, 16))
