"""SPML's networks: names and shapes of the authors' files, loaded strictly; optimiser; devices."""

import os
import re

import pytest
import torch
from torch import nn

from wsnb.files import FileError, save_torch
from wsnb.models import heads
from wsnb.models.distributed import SyncBatchNorm2d
from wsnb.models.training import InnerSGD
from wsnb.ops.segsort.retrieval import MemoryBank
from wsnb.papers.spml import losses, model, steps
from wsnb.papers.spml.losses import Settings, Term


def released(net, head):
    """A snapshot as the authors' program writes it."""
    def theirs(key):
        key = re.sub(r"^layer(\d)\.", lambda m: f"resnet_backbone.res{int(m[1]) + 1}.", key)
        return re.sub(r"^(conv1|bn1)\.", r"resnet_backbone.conv1.\1.", key)

    return {"embedding_model": {theirs(k): v for k, v in net.state_dict().items()},
            "prediction_model": dict(head.state_dict())}


@pytest.fixture(scope="module")
def deep():
    torch.manual_seed(0)
    return model.build(model.DEEP_STEM, "deeplab", 64)[0]


def test_the_papers_network_has_the_authors_tensors(deep):
    assert sum(p.numel() for p in deep.parameters()) == 47_342_784
    assert len([k for k in deep.state_dict() if not k.endswith("num_batches_tracked")]) == 538
    groups = steps.parameter_groups(deep, model.SoftmaxHead(64, 21), 1.0, 5e-4)
    assert [(len(g["params"]), sum(p.numel() for p in g["params"]), g["lr"], g["weight_decay"]) for g in groups] == [
        (186, 42_223_616, 1.0, 5e-4), (93, 51_200, 2.0, 0.0), (4, 4_718_592, 10.0, 5e-4), (4, 256, 20.0, 0.0),
        (3, 64 * 128 * 9 + 128 + 128 * 21, 10.0, 5e-4), (2, 128 + 21, 20.0, 0.0)]


def test_released_snapshots_load_strictly(deep, tmp_path):
    head = model.SoftmaxHead(64, 21)
    state = released(deep, head)
    save_torch(tmp_path / "model-29999.pth", state)
    other, origin = model.build(model.DEEP_STEM, "deeplab", 64, checkpoint=str(tmp_path / "model-29999.pth"))
    assert origin == "checkpoint model-29999.pth"
    assert all(torch.equal(a, b) for a, b in zip(other.state_dict().values(), deep.state_dict().values(), strict=True))
    second = model.SoftmaxHead(64, 21)
    model.load_snapshot(tmp_path / "model-29999.pth", head=second)
    assert torch.equal(second.semantic_classifier[0].weight, head.semantic_classifier[0].weight)
    del state["embedding_model"]["resnet_backbone.res4.7.conv2.weight"]
    save_torch(tmp_path / "short.pth", state)
    with pytest.raises(FileError, match="short.pth, embedding_model.*layer3.7.conv2.weight"):
        model.load_snapshot(tmp_path / "short.pth", other)
    save_torch(tmp_path / "flat.pth", state["prediction_model"])
    with pytest.raises(FileError, match="embedding_model and prediction_model"):
        model.load_snapshot(tmp_path / "flat.pth", other)


def test_the_trunks_file_loads_strictly(deep, tmp_path):
    state = {k: v for k, v in deep.state_dict().items() if not k.startswith("aspp.")
             and not k.endswith("num_batches_tracked")}
    state["fc.weight"] = torch.zeros(1000, 2048)
    save_torch(tmp_path / "resnet-101-cuhk.pth", state)
    body, origin = model.trunk(model.DEEP_STEM, str(tmp_path / "resnet-101-cuhk.pth"))
    assert origin == "resnet-101-cuhk.pth" and torch.equal(body.conv1[6].weight, deep.conv1[6].weight)
    state["layer5.weight"] = torch.zeros(1)
    save_torch(tmp_path / "other.pth", state)
    with pytest.raises(FileError, match="other.pth.*layer5.weight"):
        model.trunk(model.DEEP_STEM, str(tmp_path / "other.pth"))
    with pytest.raises(FileError, match="no such file"):
        model.trunk(model.DEEP_STEM, str(tmp_path / "missing.pth"))


@pytest.mark.parametrize("head", model.HEADS)
def test_heads_stand_on_small_trunks(head):
    net, _ = model.build("tiny", head, 8, width=16)
    out = net(torch.randn(2, 3, 40, 56))
    assert out.shape == (2, 8, 10, 14)
    out.square().mean().backward()
    assert all(p.grad is not None for p in net.new_modules[0].parameters())


def test_norms():
    frozen, _ = model.build("tiny", dim=8, norms="frozen")
    assert not any(m.training for m in frozen.train().modules() if isinstance(m, nn.BatchNorm2d))
    sync, _ = model.build("tiny", "pspnet", 8, norms="sync", norm_momentum=3e-4, width=16)
    norms = [m for m in sync.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms and all(type(m) is SyncBatchNorm2d for m in norms)
    assert sum(m.momentum == 3e-4 for m in norms) == len(norms) - 5  # the head keeps 0.1
    sync(torch.randn(2, 3, 32, 32)).sum().backward()
    plain, _ = model.build("tiny", "pspnet", 8, width=16)
    assert set(plain.state_dict()) == set(sync.state_dict())
    with pytest.raises(ValueError, match="choose one of batch, sync, frozen"):
        model.build("tiny", norms="none")


def test_the_rate_lies_inside_of_the_momentum():
    w = nn.Parameter(torch.tensor([1.0]))
    sgd = InnerSGD([{"params": [w], "weight_decay": 0.5}], 0.1)
    buffer, value = 0.0, 1.0
    for lr, gradient in ((0.1, 2.0), (0.01, -1.0), (0.2, 0.5)):
        sgd.param_groups[0]["lr"], w.grad = lr, torch.tensor([gradient])
        buffer = 0.9 * buffer + lr * (gradient + 0.5 * value)
        value -= buffer
        sgd.step()
        assert float(w) == pytest.approx(value, rel=1e-6)


def _inputs():
    generator = torch.Generator().manual_seed(0)
    embedding = torch.randn(2, 8, 8, 8, generator=generator)
    semantic = torch.randint(0, 5, (2, 32, 32), generator=generator)
    semantic[1, :, 20:] = 255
    return embedding, semantic, torch.randint(0, 3, (2, 32, 32), generator=generator), torch.eye(4)[:2]


def _settings(devices=1):
    return Settings(5, *(Term(kappa, 0.5) for kappa in (6, 8, 16, 12)), clusters=(2, 2), faithful=False,
                    devices=devices)


def _process(rank, folder, port):
    import torch.distributed as dist

    torch.set_num_threads(1)
    store = dist.TCPStore("127.0.0.1", port, is_master=False)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
    embedding, *others = (value[rank : rank + 1] for value in _inputs())
    embedding = embedding.clone().requires_grad_()
    done = losses.step(embedding, *others, None, _settings(), MemoryBank(0))
    done.total.backward()
    norm = SyncBatchNorm2d(8)
    normed = norm(embedding.detach())
    torch.save([done.total.detach(), embedding.grad, normed.detach(), done.prototypes.picture], f"{folder}/{rank}.pt")
    store.set(f"done {rank}", "")
    store.wait(["done 0", "done 1"])
    os._exit(0)  # Gloo aborts now and then where one process takes its end down before the other


def test_two_processes_learn_as_one_with_two_devices(tmp_path):
    """Losses, gradients and batch statistics of two processes, a picture each: those of both pictures together."""
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    torch.multiprocessing.spawn(_process, (str(tmp_path), store.port), nprocs=2)
    found = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    embedding, *others = _inputs()
    embedding.requires_grad_()
    done = losses.step(embedding, *others, None, _settings(2), MemoryBank(0))
    done.total.backward()
    torch.testing.assert_close((found[0][0] + found[1][0]) / 2, done.total.detach())
    torch.testing.assert_close(torch.cat([found[0][1], found[1][1]]) / 2, embedding.grad)
    torch.testing.assert_close(torch.cat([found[0][2], found[1][2]]), SyncBatchNorm2d(8)(embedding.detach()))
    assert torch.equal(found[0][3], done.prototypes.picture)


def test_taps_beyond_the_map_never_learn():
    assert heads.dead_taps(model.RATES, 160, 16) == (24, 36) and heads.dead_taps(model.RATES, 512, 8) == (0, 36)
    torch.manual_seed(0)
    net, _ = model.build("tiny", dim=4, rates=(1, 2, 5))
    crop = 3 * net.stride
    net(torch.randn(1, 3, crop, crop)).square().sum().backward()
    dead = sum(int((branch[0].weight.grad == 0).all(dim=(0, 1)).sum()) for branch in net.aspp.children())
    assert (dead, 27) == heads.dead_taps((1, 2, 5), crop, net.stride) == (8, 27)
