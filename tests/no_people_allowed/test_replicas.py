"""The networks on several GPUs, as parts of a batch on one."""

import copy

import torch

from wsnb.models import replicas


def test_parts_of_a_batch_go_through_alone_as_on_gpus():
    """Each part by its own statistics; those that stay are the first part's, the only ones that torch keeps."""
    torch.manual_seed(0)
    x = torch.randn(5, 3, 8, 8)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    one, two, both = copy.deepcopy(net), copy.deepcopy(net), copy.deepcopy(net)
    wanted = torch.cat([one(x[:3]), two(x[3:])])
    assert torch.equal(replicas.forward(both, x, 2), wanted)
    assert torch.equal(both[1].running_mean, one[1].running_mean) and both[1].momentum == one[1].momentum
    assert both[1].num_batches_tracked == 1
    assert torch.equal(replicas.forward(copy.deepcopy(net), x, 1), copy.deepcopy(net)(x))
    assert replicas.forward(net, x[:1], 2).shape == (1, 4, 6, 6)
    net = torch.nn.InstanceNorm2d(3, track_running_stats=True)
    one, both = copy.deepcopy(net), copy.deepcopy(net)
    wanted = torch.cat([one(x[:3]), copy.deepcopy(net)(x[3:])])
    assert torch.equal(replicas.forward(both, x, 2), wanted)
    assert torch.equal(both.running_mean, one.running_mean) and torch.equal(both.running_var, one.running_var)
    assert both.momentum == net.momentum
    pair = replicas.forward(lambda x: (x, 2 * x), x, 2)
    assert torch.equal(pair[0], x) and torch.equal(pair[1], 2 * x)
