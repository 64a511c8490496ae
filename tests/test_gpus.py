"""Several processes that train one network: on CPUs here, for there is no GPU. See also tests/test_devices.py."""

import multiprocessing
import os
import signal
import threading
import time
from types import SimpleNamespace

import cv2
import lightning_fabric
import numpy as np
import pytest
import torch
import torch.distributed as dist

from wsnb.files import load_torch
from wsnb.models import distributed, speed, training
from wsnb.ops import parallel, segmentation
from wsnb.ops.segsort import retrieval
from wsnb.ops.segsort.segments import Prototypes
from wsnb.run.stage import Stage


def sample(k):
    return {"x": torch.full((3,), float(k)), "id": f"p{k}"}


def fit(path, gpus=1, epochs=2, after=lambda: None, workers=0, bad=None, **more):
    """A small training on 12 samples in batches of 4: the network and its Training."""
    torch.manual_seed(0)
    network = torch.nn.Linear(3, 1)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.1)
    run = training.Training(path, log=lambda text: None, network=network, optimiser=optimiser)

    def step(batch):
        after()
        return ((network(batch["x"]) - 1) ** 2).mean() * (float("nan") if run.step == bad else 1)

    def loader(epoch, first):
        return training.batches([sample(k) for k in range(12)], list(range(12)), 4, first, workers=workers)

    segmentation.fit(run, optimiser, step, loader, epochs, 3, lambda steps, *_, **__: steps, lambda *_: 1.0,
                     device="cpu", gpus=gpus, **more)
    return network, run


@pytest.mark.parametrize("to_all", [False, True], ids=["one process", "all processes"])
def test_a_signal_stops_all_processes_after_one_step(to_all, tmp_path):
    def after():
        rank, size = dist.get_rank(), dist.get_world_size()
        if not (tmp_path / f"began-{rank}").exists():
            (tmp_path / f"began-{rank}").write_text(str(os.getpid()))
        with open(tmp_path / f"steps-{rank}", "a") as file:
            file.write(".")
        time.sleep(0.01 * (size - rank))  # they are never at the same place

    def ask():
        while not (tmp_path / "began-1").exists() or not (tmp_path / "steps-0").exists():
            time.sleep(0.01)
        for child in multiprocessing.active_children() if to_all else []:
            for worker in open(f"/proc/{child.pid}/task/{child.pid}/children").read().split():
                os.kill(int(worker), signal.SIGTERM)
            os.kill(child.pid, signal.SIGTERM)
        os.kill(os.getpid() if to_all else int((tmp_path / "began-1").read_text()), signal.SIGTERM)

    asking = threading.Thread(target=ask)
    asking.start()
    with pytest.raises(KeyboardInterrupt, match="checkpoint written at"):
        fit(tmp_path / "t.pt", 2, 10_000, after, workers=1)
    asking.join()
    state = load_torch(tmp_path / "t.pt")
    taken = {(tmp_path / f"steps-{rank}").read_text() for rank in (0, 1)}
    assert taken == {"." * (3 * state["epoch"] + state["step"])}


def test_stopped_and_continued_it_is_the_training_of_one_process(tmp_path):
    network, _ = fit(tmp_path / "one.pt", 1, 4)
    fit(tmp_path / "two.pt", 2, 2)
    again, run = fit(tmp_path / "two.pt", 2, 4)
    assert len(run.kept["epochs"]) == 4
    torch.testing.assert_close(again.state_dict(), network.state_dict())


def test_an_error_of_one_process_ends_all(tmp_path):
    def fail():
        if dist.get_rank() == 1:
            raise OSError("no disk")

    with pytest.raises(torch.multiprocessing.ProcessRaisedException, match="OSError: no disk"):
        fit(tmp_path / "t.pt", 2, after=fail)
    assert not multiprocessing.active_children()


def test_a_batch_is_shared_out(monkeypatch):
    assert distributed.share([1, 2, 3]) == [1, 2, 3]
    monkeypatch.setattr(distributed, "process_count", lambda: 2)
    monkeypatch.setattr(dist, "get_rank", lambda: 1)
    assert distributed.share([1, 2, 3, 4]) == [3, 4]
    with pytest.raises(ValueError, match="multiple of 2"):
        distributed.share([1, 2, 3])


def test_a_gpu_is_not_used_before_the_processes_start(monkeypatch):
    """cudaGetDeviceCount, by which torch looks for a GPU as a rule, would make it useless in a fork."""
    started = []

    class Fabric:
        def __init__(self, **more):
            started.append(more)

        def launch(self, process):
            return None

    monkeypatch.setattr(torch.cuda, "_is_compiled", lambda: True)
    monkeypatch.setattr(torch.cuda, "_device_count_nvml", lambda: 4)
    monkeypatch.setattr(torch._C, "_cuda_getDeviceCount", lambda: pytest.fail("the driver was started"), raising=False)
    monkeypatch.delenv("PYTORCH_NVML_BASED_CUDA_CHECK", raising=False)
    monkeypatch.setattr(lightning_fabric, "Fabric", Fabric)
    stage = object.__new__(Stage)
    stage.params = SimpleNamespace(device="auto")
    assert stage.device == "cuda" and str(distributed.build_device(4, stage.device)) == "cpu"
    training.Training(SimpleNamespace(exists=lambda: False), network=torch.nn.Linear(1, 1))
    distributed.launch(print, 4, stage.device)
    assert started == [{"accelerator": "cuda", "devices": 4, "strategy": "ddp_notebook"}]
    with pytest.raises(RuntimeError, match="gpus: 5, but there are 4"):
        distributed.launch(print, 5, "cuda")


def test_the_generator_of_the_gpu_in_use_is_kept_and_of_no_other(monkeypatch, tmp_path):
    states = {"cuda:2": torch.tensor([7], dtype=torch.uint8)}
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: states[device])
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: states.update({device: state}))
    monkeypatch.setattr(training, "_gpu_of", lambda parts: "cuda:2")
    training.Training(tmp_path / "t.pt", network=torch.nn.Linear(1, 1)).save()
    monkeypatch.setattr(training, "_gpu_of", lambda parts: "cuda:0")  # another machine, with one
    training.Training(tmp_path / "t.pt", log=lambda text: None, network=torch.nn.Linear(1, 1))
    assert states["cuda:0"].tolist() == [7]


def test_the_memory_of_a_checkpoint_comes_to_the_prototypes():
    row = Prototypes(*(torch.zeros(1, 2) for _ in range(2)), *(torch.zeros(1, dtype=torch.long) for _ in range(3)),
                     torch.zeros(1, 3))
    memory = retrieval.MemoryBank(2)
    memory.load_state_dict({"size": 2, "entries": [vars(row)]})
    assert {value.device.type for value in vars(memory.with_current(row.to("meta"))).values()} == {"meta"}


def test_fast_is_bfloat16_inside_the_networks_and_nowhere_later(tmp_path):
    exact, one = fit(tmp_path / "exact.pt")
    fast, two = fit(tmp_path / "fast.pt", speed="fast")
    assert fast.weight.dtype == torch.float32 and not torch.equal(fast.weight, exact.weight)
    torch.testing.assert_close(fast.weight, exact.weight, rtol=0.05, atol=0.01)
    for ours, theirs in zip(two.kept["epochs"], one.kept["epochs"], strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=0.05) and isinstance(ours["loss"], float)
    x = torch.full((1, 3), 1.003)  # with more digits than bfloat16 has
    assert torch.equal(fast(x), torch.nn.functional.linear(x, fast.weight, fast.bias))
    assert not torch.backends.cudnn.benchmark and not torch.backends.cuda.matmul.allow_tf32 and two.check_every == 1
    with pytest.raises(ValueError, match="speed 'faster': choose one of exact, fast"):
        fit(tmp_path / "t.pt", speed="faster")


def test_fast_stops_at_a_bad_loss_before_a_checkpoint_holds_it(tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "CHECKED_EVERY", 3)
    with pytest.raises(FloatingPointError):
        fit(tmp_path / "t.pt", speed="fast", bad=2)
    assert not (tmp_path / "t.pt").exists()


def test_shared_memory_is_looked_at_before_workers_start(monkeypatch):
    monkeypatch.setattr(training.shutil, "disk_usage", lambda place: SimpleNamespace(free=64))
    samples = [sample(k) for k in range(4)]
    assert len(training.batches(samples, list(range(4)), 2)) == 2
    with pytest.raises(RuntimeError, match="/dev/shm has 0 MiB free.*--shm-size"):
        training.batches(samples, list(range(4)), 2, workers=1)


def shared(items, device):
    for item in items:
        if item == "bad":
            raise ValueError("no such picture")
        if item == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        yield item, os.getpid()


def test_pictures_are_shared_out_and_their_values_come_in_order():
    alone = list(distributed.over_gpus(shared, "abcde", 1, "cpu"))
    found = list(distributed.over_gpus(shared, "abcde", 2, "cpu"))
    assert [name for name, _ in alone] == [name for name, _ in found] == list("abcde")
    assert len({process for _, process in found} - {os.getpid()}) == 2 and not multiprocessing.active_children()
    assert list(distributed.over_gpus(shared, "", 2, "cpu")) == []


def test_processes_outlive_the_threads_of_this_one():
    """Those of OpenCV and torch end at a fork, and a process that waits for them waits for ever."""
    def threaded(items, device):
        for _ in items:
            with parallel.one_thread():
                grey = cv2.GaussianBlur(np.zeros((500, 500, 3), np.uint8), (0, 0), 9)
                yield int(grey.sum()) + float(torch.ones(300, 300).mm(torch.zeros(300, 300)).sum())

    before = cv2.getNumThreads(), torch.get_num_threads()
    watch = threading.Timer(20, lambda: [child.kill() for child in multiprocessing.active_children()])
    watch.start()
    try:
        cv2.setNumThreads(2), torch.set_num_threads(2)
        assert list(threaded("ab", "cpu")) == [0, 0]
        cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (0, 0), 9)
        assert list(distributed.over_gpus(threaded, "abcd", 2, "cpu")) == [0] * 4
        assert (cv2.getNumThreads(), torch.get_num_threads()) == (2, 2)
    finally:
        watch.cancel()
        cv2.setNumThreads(before[0]), torch.set_num_threads(before[1])


def test_networks_come_to_the_process_and_stay_here_in_main_memory():
    network = torch.nn.Linear(1, 1)

    def place(items, device):
        yield from ((f"{network.weight.device}", f"{device}") for _ in items)

    assert set(distributed.over_gpus(place, "ab", 2, "meta", network)) == {("meta", "meta")}
    assert f"{network.weight.device}" == "cpu"


def test_an_error_in_a_process_comes_at_its_picture(capfd):
    working = distributed.over_gpus(shared, ["a", "bad", "c"], 2, "cpu")
    assert next(working)[0] == "a"
    with pytest.raises(ValueError, match="no such picture"):
        next(working)
    working = distributed.over_gpus(shared, ["a", "killed"], 2, "cpu")
    with pytest.raises(RuntimeError, match="process 1 of 2 ended with exit code -9 before killed"):
        list(working)
    assert not multiprocessing.active_children()


def test_a_process_that_used_a_gpu_starts_no_others(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    shares = distributed.over_gpus(shared, "ab", 2, "cpu")
    for start in (lambda: distributed.launch(print, 2, "cpu"), lambda: next(shares)):
        with pytest.raises(RuntimeError, match="gpus: 2, but this process has used a GPU.*start a new kernel"):
            start()
