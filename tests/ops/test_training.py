"""Training continues to the same weights after anything, and stops before it does harm."""

import os
import random
import signal
import threading

import numpy as np
import pytest
import torch
from torch import nn

from wsnb.files import load_torch
from wsnb.models import training
from wsnb.models.training import Training

EPOCHS, STEPS = 3, 4  # 19 samples in batches of 4, the last three dropped


class Killed(Exception):
    pass


class Numbers(torch.utils.data.Dataset):
    """Sample i of an epoch is a function of (epoch, i)."""

    def __init__(self, epoch=0, count=19):
        self.epoch, self.count = epoch, count

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        return {"x": torch.from_numpy(np.random.default_rng([self.epoch, i]).normal(size=3)).float(), "id": f"p{i}"}


def test_products_are_of_whole_float32():
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    training.seed_everything(0)
    assert not torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32


def run(path, every=-1.0, hook=lambda n: None, loss_of=lambda loss, n: loss, seed=0):
    """A small training with dropout and with draws from all three generators; what stands at its end."""
    training.seed_everything(seed)
    network = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 1))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    state = Training(path, every, log=lambda text: None, network=network, optimiser=optimiser)
    run.network = network
    with state:
        for epoch in state.epochs(EPOCHS):
            order = training.epoch_order(19, 5, epoch)
            for batch in state.steps(lambda first, e=epoch, o=order: training.batches(Numbers(e), o, 4, first)):
                number = epoch * STEPS + state.step
                noise = np.random.normal() + random.random()
                loss = loss_of(((network(batch["x"]) - noise) ** 2).mean(), number)
                value = state.check(loss, 0.05, batch["id"])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                state.add(loss=value, steps=1)
                hook(number)
            state.kept.setdefault("losses", []).append({"loss": state.running["loss"] / state.running["steps"]})
    ended = network.state_dict(), optimiser.state_dict(), state.kept, torch.rand(3), np.random.rand(3), random.random()
    return *ended, path.read_bytes()


def same(a, b):
    """Bit-identical, all the way down."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool((a == b).all()) if hasattr(a, "all") else a == b


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return run(tmp_path_factory.mktemp("whole") / "t.pt")


@pytest.mark.parametrize("every", [-1.0, 1e9], ids=["checkpoint at each step", "at each epoch"])
@pytest.mark.parametrize("killed_at", range(EPOCHS * STEPS))
def test_killed_after_any_step_it_ends_the_same(tmp_path, undisturbed, killed_at, every):
    def kill(number):
        if number == killed_at:
            raise Killed

    with pytest.raises(Killed):
        run(tmp_path / "t.pt", every, kill)
    other = 99 if (tmp_path / "t.pt").exists() else 0  # what a checkpoint restores may be anything before
    assert same(run(tmp_path / "t.pt", every, seed=other), undisturbed)


def test_finished_training_does_nothing_more(tmp_path, undisturbed):
    run(tmp_path / "t.pt")
    assert same(run(tmp_path / "t.pt", hook=lambda n: pytest.fail("a step"), seed=3), undisturbed)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_bad_loss_stops_before_the_weights_change(tmp_path, bad):
    path, seen = tmp_path / "t.pt", {}

    def spoil(loss, number):
        if number == 6:
            seen["weights"] = {k: v.clone() for k, v in run.network.named_parameters()}
            seen["checkpoint"] = path.read_bytes()
        return loss * bad if number == 6 else loss

    with pytest.raises(FloatingPointError) as error:
        run(path, loss_of=spoil)
    ids = [f"p{i}" for i in training.epoch_order(19, 5, 1)[8:12]]
    for part in ("epoch 1, step 2", "learning rate 0.05", str(ids), str(path), "Lower `lr`"):
        assert part in str(error.value)
    assert same(dict(run.network.named_parameters()), seen["weights"])
    assert path.read_bytes() == seen["checkpoint"]
    assert load_torch(path)["step"] == 2


def test_check_takes_numbers_and_tensors(tmp_path):
    state = Training(tmp_path / "t.pt")
    assert state.check(torch.tensor(2.5, requires_grad=True), 0.1, ["a"]) == 2.5 and state.check(1, 0.1, ["a"]) == 1.0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_writes_a_checkpoint_after_the_step(tmp_path, undisturbed, number):
    path, before = tmp_path / "t.pt", (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt, match=f"{number.name}.*epoch 1, step 3"):
        run(path, 1e9, lambda n: os.kill(os.getpid(), number) if n == 6 else None)
    assert (load_torch(path)["epoch"], load_torch(path)["step"]) == (1, 3)
    assert before == (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))
    assert same(run(path, seed=4), undisturbed)


def test_a_signal_in_the_last_step_of_an_epoch(tmp_path, undisturbed):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "t.pt", 1e9, lambda n: os.kill(os.getpid(), signal.SIGTERM) if n == STEPS - 1 else None)
    assert load_torch(tmp_path / "t.pt")["step"] == STEPS
    assert same(run(tmp_path / "t.pt", seed=4), undisturbed)


def test_a_second_signal_does_not_wait(tmp_path):
    def twice(number):
        if number == 1:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
            pytest.fail("still here")

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "t.pt", 1e9, twice)
    assert not (tmp_path / "t.pt").exists()


def test_threads_without_signals(tmp_path, undisturbed):
    results = []
    thread = threading.Thread(target=lambda: results.append(run(tmp_path / "t.pt")))
    thread.start()
    thread.join()
    assert same(results[0], undisturbed)


def gathered(**more):
    return [(b["id"], b["x"]) for b in training.batches(Numbers(2), training.epoch_order(19, 0, 2), 4, **more)]


def test_batches_leave_the_global_generators_alone():
    training.seed_everything(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    gathered()
    gathered(workers=1)
    assert torch.equal(before[0], torch.get_rng_state()) and before[2] == random.getstate()
    assert np.array_equal(before[1], np.random.get_state()[1])


def test_batches_do_not_depend_on_workers_and_continue_anywhere():
    whole = gathered()
    assert len(whole) == 4 and same(gathered(workers=1), whole)
    for first in range(6):
        assert same(gathered(first=first), whole[first:])
    assert same(gathered(first=2, workers=1), whole[2:])


@pytest.mark.parametrize("count, size, drop, sizes", [
    (19, 16, True, [16]), (19, 16, False, [16, 3]), (19, 4, True, [4] * 4), (19, 32, True, [19]), (1, 16, True, [1]),
    (16, 16, True, [16]), (17, 16, True, [16]), (0, 16, True, [])])
def test_sets_of_any_size(count, size, drop, sizes):
    found = training.batches(Numbers(count=count), list(range(count)), size, drop_last=drop)
    assert [len(b["id"]) for b in found] == sizes


def test_order_is_a_function_of_seed_and_epoch():
    orders = {(s, e): tuple(training.epoch_order(30, s, e)) for s in range(3) for e in range(3)}
    assert len(set(orders.values())) == 9 and all(sorted(o) == list(range(30)) for o in orders.values())
    np.random.seed(5)
    assert tuple(training.epoch_order(30, 1, 2)) == orders[1, 2]
    assert training.epoch_order(4, 1, 2, shuffle=False) == [0, 1, 2, 3]


def test_seeding_repeats_all_three_generators():
    def draws():
        training.seed_everything(11)
        return torch.rand(2), np.random.rand(2), random.random()

    assert same(draws(), draws())


def test_a_signal_outside_a_step_is_heard_at_once(tmp_path):
    """Validation may take minutes; the checkpoint of the epoch's start is all that there is to keep."""
    training = Training(tmp_path / "t.pt", log=lambda text: None)
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"), training:
        for _ in training.epochs(1):
            os.kill(os.getpid(), signal.SIGTERM)
            pytest.fail("went on")
