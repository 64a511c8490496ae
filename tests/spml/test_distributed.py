"""Several processes that learn one network: on CPUs here, by the notebook and the real command."""

import pytest
import torch

from tests.spml import chain
from wsnb.data.synthetic import make_voc
from wsnb.files import load_npz, load_torch
from wsnb.models import distributed

ONLY = {"limit", "threads", "workers", "batch", "crop", "dim", "iterations", "clusters"}


def embedding(tmp_path, data, **more):
    small = {key: value for key, value in chain.SMALL.items() if key in ONLY}
    wanted = {**small, "batch": 4, "limit": 8, "iterations": 3, "device": "cpu", "norms": "sync", "optimiser": "sgd"}
    done = chain.run("shapes_point", data, tmp_path, "--until", "04_embedding", only=ONLY, **{**wanted, **more})
    assert done.returncode == 0, done.stdout
    return chain.folder(tmp_path, "shapes_point", "04_embedding").resolve(), done.stdout


def test_two_processes_learn_the_same_network_as_one(tmp_path):
    make_voc.shapes(tmp_path / "data", train=8, val=2, size=(64, 80))
    one, _ = embedding(tmp_path / "runs", tmp_path / "data", devices=2)
    two, said = embedding(tmp_path / "runs", tmp_path / "data", gpus=2)
    wanted, found = (load_torch(folder / "network.pth")["embedding_model"] for folder in (one, two))
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-5, msg=name)
    before, after = (load_npz(one / f"embedding_{k:03d}.npz") for k in (0, 2))
    assert any((before[name] != after[name]).any() for name in before)  # it did learn
    assert said.count("epoch 1 of 2: loss") == 1  # only the first process speaks


def test_a_batch_is_shared_out():
    order = list(range(11))
    parts = [distributed.Distributed(torch.device("cpu"), rank, 2).shard(order, 4) for rank in range(2)]
    assert parts == [[0, 1, 4, 5], [2, 3, 6, 7]] and distributed.single_process("cpu").shard(order, 4) == order
    for batch in (3, 12):
        with pytest.raises(ValueError, match="multiple of 2"):
            distributed.Distributed(torch.device("cpu"), 0, 2).shard(order, batch)


def test_what_is_missing_is_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(RuntimeError, match="gpus: 2, but there are 1"):
        distributed.launch(print, 2, "cuda")
