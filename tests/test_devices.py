"""The notebooks on a second device, pretended on the CPU: nothing in main memory may meet what lies there."""

import contextlib
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.no_people_allowed import chain as no_people_allowed
from tests.panoptic import chain as panoptic
from tests.pretended import NAME, Pretended
from tests.simple_does_it import chain as simple_does_it
from tests.single_stage import chain as single_stage
from tests.spml import chain as spml
from wsnb.data.synthetic import make_cityscapes, make_densepose, make_sbd, make_voc
from wsnb.files import load_torch
from wsnb.models import training
from wsnb.ops.segmentation import loss
from wsnb.run import experiments, plan
from wsnb.run.stage import Stage
from wsnb.viz import interactive

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")  # There is more than it says
MAKERS = {"voc": lambda folder: make_voc.shapes(folder, train=6, val=2, size=(64, 80)),
          "sbd": lambda folder: make_sbd.write(folder, {"train": 3, "val": 2}, size=(64, 80)),
          "densepose": lambda folder: make_densepose.write(folder, {"train": 4, "minival": 2}, size=(64, 80)),
          "cityscapes": lambda folder: make_cityscapes.write(folder, counts={"train": 4, "val": 2}, size=(64, 128))}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A function layout -> a small data set in it."""
    made = {}

    def of(layout):
        if layout not in made:
            made[layout] = tmp_path_factory.mktemp(layout) / "data"
            MAKERS[layout](made[layout])
        return made[layout]

    return of


@pytest.fixture
def device(monkeypatch):
    """The device, on which every stage is; a control shows one picture."""
    threads = torch.get_num_threads()
    monkeypatch.setenv("WSNB_ROOT", str(ROOT))
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # a stage may set it, and others run in this process
    monkeypatch.setattr(Stage, "device", NAME)
    monkeypatch.setattr(interactive, "controls", _shown)
    yield Pretended()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
    plt.close("all")


def _shown(function, pointer=None, /, **widgets):
    """What a control shows at first, and after a click or a drag."""
    shown = function()
    if pointer is not None:
        end = (0.6, 0.8) if pointer.events[0] == "mousedown" else ()
        function(**(pointer.rule(0, 0.2, 0.3, *end) or {}))
    return shown


NOT_LEARNED = ("running_mean", "running_var", "num_batches_tracked")


class Killed(Exception):
    pass


@pytest.fixture
def kills(monkeypatch):
    """Each training is killed once, in its second step; yields what happened. Nothing is dropped out, for several
    processes draw what one does not."""
    happened = []

    def check(run, *args, real=training.Training.check, **more):
        run.every = -1  # a checkpoint after each step
        if (run.epoch or run.step) and "killed" not in happened:
            happened.append("killed")
            raise Killed
        return real(run, *args, **more)

    def restore(run, real=training.Training.restore):
        happened.append("continued")
        real(run)

    monkeypatch.setattr(training.Training, "check", check)
    monkeypatch.setattr(training.Training, "restore", restore)
    for kind in (torch.nn.Dropout, torch.nn.Dropout2d):
        monkeypatch.setattr(kind, "forward", lambda self, x: x)
    return happened


def run(device, kills, experiment, data, runs, small, without=(), **more):
    """Run the notebooks of an experiment cell by cell, but for the stages WITHOUT. Those that name a device use it; a
    training that is killed goes on from its checkpoint; two processes on CPUs train to the same weights, and the cells
    after it run. Where two GPUs share the pictures of a stage, this process uses none, and the files are the same."""
    words = [f"{name}={value}" for name, value in {**small, "workers": 0, **more}.items()]
    resolved = plan.resolve(ROOT, experiments.load(ROOT, *experiment.split("/")), runs, words, data_root=str(data))
    for stage in [stage for stage in resolved.stages if stage.name not in without]:
        before, names, first, trains = device.calls, {"__name__": "__main__"}, 0, None
        kills.clear()
        for number, cell in enumerate(stage.notebook.cells):
            first = number if "seed_everything" in cell.source else first
            try:
                run_cells(device, stage, number, number, names)
            except Killed:
                first, trains = first or number, number
                run_cells(device, stage, first, trains, names)
        assert device.calls > before or "device" not in stage.params, f"{stage.name} left the device alone"
        assert kills[:2] == (["killed", "continued"] if "speed" in stage.params else []), stage.name
        folder, cells = names["stage"].folder, stage.notebook.cells
        last = next((number for number, cell in enumerate(cells) if "stage.finish(" in cell.source), 0) - 1
        if trains is None and "gpus" in stage.params:
            one = written(folder)
            for path in one:
                (folder / path).unlink()
            names["p"].gpus, before = 2, device.calls
            run_cells(device, stage, first, last, names)
            assert device.calls == before, f"{stage.name} used a GPU before its processes did"
            assert written(folder) == one, stage.name
        if trains is not None:
            one = trained(folder)
            for path in [*folder.rglob("*.pt"), *folder.rglob("*/network.pth")]:
                path.unlink()
            names["p"].gpus, Stage.device = 2, "cpu"
            try:
                run_cells(contextlib.nullcontext(), stage, first, last, names)
            finally:
                Stage.device = NAME
            two = trained(folder)
            for name, value in one.items():
                torch.testing.assert_close(two[name], value, rtol=5e-3, atol=1e-4 if name.endswith("losses") else 3e-3)


def run_cells(device, stage, first, last, names):
    """Run some cells of a stage's notebook, with its values."""
    for cell in stage.notebook.cells[first : last + 1]:
        with device:
            exec(compile(cell.source, f"{stage.name}, cell {cell.index}", "exec"), names)
        if "parameters" in cell.tags:
            names.update(stage.values)


def written(folder):
    """The bytes of all files in the folders of FOLDER, by their places."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.glob("*/**/*") if path.is_file()}


def trained(folder):
    """The losses and the weights of all trainings in FOLDER. Running statistics are not among them: several processes
    keep the first one's."""
    found = {}
    for path in sorted([*folder.rglob("training.pt"), *folder.rglob("epochs.pt"), *folder.rglob("*/network.pth")]):
        state = load_torch(path)
        if path.name == "training.pt":
            found[f"{path} losses"] = [state["kept"].get(name) for name in ("epochs", "losses")]
            parts = [state["parts"][name] for name in ("network", "joint", "head") if name in state["parts"]]
        elif path.name == "epochs.pt":
            found[f"{path} losses"], parts = state, []
        else:
            parts = [state]
        found[f"{path}"] = [{name: value for name, value in part.items() if not name.endswith(NOT_LEARNED)}
                            for part in parts]
    return found


@pytest.mark.parametrize("more", [{"select": "best", "epochs": 1, "pretrain": 0},
                                  {"model": "cam_baseline", "epochs": 1}], ids=["own masks", "CAM baseline"])
def test_single_stage(more, device, kills, data, tmp_path):
    run(device, kills, "single_stage/shapes", data("voc"), tmp_path, single_stage.SMALL, ["03_evaluate"], batch=2,
        psi=0.0, padded_side=96, pamr_iterations=2, pamr_dilations="[1, 2]", tag_sources="[predicted]", **more)


TAGS = {"cam_epochs": 1, "cam_crop": 48, "cam_batch": 2, "walk_crf": "[1, 0]", "walk_scales": "[1.0, 0.75]",
        "flip": "true", "cam_optimiser": "sgd", "classifier_optimiser": "sgd"}
FAITHFUL = {"preset": "faithful", "norms": "sync", "optimiser": "inner_sgd", "devices": 2, "window": 48,
            "window_stride": 32, "classifier_optimiser": "inner_sgd", "prototype_labels": "ground truth"}
PARTS = {"limit": 4, "batch": 2, "head_width": 8, "walk_crf": "[1]"}
LATER = ["06_prototypes", "07_retrieval", "08_classifier", "09_inference", "10_evaluate"]


@pytest.mark.parametrize("experiment, layout, without, more", [
    ("shapes_tag", "voc", ["10_evaluate"], TAGS), ("shapes_point", "voc", LATER[-2:], FAITHFUL),
    ("shapes_densepose", "densepose", LATER, PARTS)], ids=["tags", "points, faithful", "parts"])
def test_spml(experiment, layout, without, more, device, kills, data, tmp_path):
    small = {**spml.SMALL, "val_limit": 2, "iterations": 2, "batch": 2, "devices": 2, "classifier_batch": 2,
             "classifier_dropout": 0.0, "optimiser": "sgd"}
    run(device, kills, f"spml/{experiment}", data(layout), tmp_path, small, without, **more)


def test_panoptic(device, kills, data, tmp_path):
    run(device, kills, "panoptic/shapes", data("cityscapes"), tmp_path, panoptic.SMALL, batch=2, flip="true",
        cam_flip="true", scales="[1.0, 0.75]", bound_epochs=1, head="aspp", head_rates="[]", full_scores="false",
        crf_backend="torch")


def test_boxes_to_instances(device, kills, data, tmp_path):
    run(device, kills, "simple_does_it/shapes_instance", data("sbd"), tmp_path, simple_does_it.INSTANCE,
        ["05_evaluate"], last_steps="[1, 2, 3]", rate_steps="[2]", overlays=1, optimiser="momentum")


def test_boxes_to_segmentation(device, kills, data, tmp_path):
    run(device, kills, "simple_does_it/shapes_semantic", data("voc"), tmp_path, simple_does_it.SEMANTIC,
        ["08_evaluate"], head="largefov", head_rates="[]", batch=2,
        label_methods="[rectangles]", train_labels="[full, rectangles]",
        scales="[1.0, 0.75]", deterministic="true")


def test_no_people_allowed(device, kills, data, tmp_path):
    run(device, kills, "no_people_allowed/shapes", data("voc"), tmp_path, no_people_allowed.SMALL,
        test_scales="[1.0, 0.75]", batch=2, irnet_batch=2, seg_batch=2, replicas=2, seg_optimiser="sgd",
        seg_head="largefov", crf_backend="torch")


def test_what_may_not_meet(device):
    network = torch.nn.Conv2d(2, 2, 1)
    here, number, refused = torch.rand(2, 2), torch.tensor(1.0), "same device"
    with device:
        network, there = network.to(NAME), here.to(NAME)
        for wrong in (lambda: network(torch.rand(1, 2, 4, 4)), lambda: there + here, lambda: here.mul_(there),
                      lambda: torch.cat([there, here]), lambda: here[there > 0.5], lambda: number.add_(there.sum()),
                      lambda: F.cross_entropy(there, torch.tensor([0, 1])), lambda: here.where(there > 0, 0.0)):
            with pytest.raises(RuntimeError, match=refused):
                wrong()
        for wrong in (there.numpy, lambda: np.asarray(there), lambda: np.stack([there, there])):
            with pytest.raises(TypeError, match="to numpy"):
                wrong()
        with pytest.raises(RuntimeError, match="not implemented"):
            there.long() @ there.long()
        with pytest.raises(RuntimeError, match="generator"):
            torch.randperm(4, device=NAME, generator=torch.Generator())
        backward = Mixing.apply(there.requires_grad_(), here).sum()
        with pytest.raises(RuntimeError, match=refused):
            backward.backward()


class Mixing(torch.autograd.Function):
    """Its gradient takes what is in main memory."""

    @staticmethod
    def forward(ctx, there, here):
        ctx.here = here
        return there * 2

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.here, None


def test_what_may_meet(device):
    here = torch.rand(2, 3)
    with device:
        there = here.to(NAME)
        assert str(there.device) == NAME and torch.equal(there.cpu(), here)
        assert torch.equal(there[torch.tensor([1])].cpu(), here[[1]])  # an index from main memory
        assert torch.equal((there * torch.tensor(2.0)).cpu(), 2 * here)  # and a number
        assert torch.equal(there[:, [2, 0]].cpu(), here[:, [2, 0]])
        assert there.tolist() == here.tolist() and float(there.sum()) == float(here.sum())
        assert there.new_tensor([1.0]).device == torch.arange(2, device=NAME).device == there.device
        copy = torch.zeros(2, 3)
        copy[0] = there[0]
        assert copy.device.type == "cpu" and torch.equal(copy[0], here[0])
        there[:, 0] = 1.0
    assert float(here[0, 0]) != 1.0


@pytest.mark.parametrize("optimiser", [torch.optim.SGD, torch.optim.AdamW])
def test_a_training_is_that_of_the_cpu(optimiser, device, tmp_path):
    def trained(place, path, steps):
        torch.manual_seed(0)
        layers = torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 1)
        network = torch.nn.Sequential(*layers).to(place, memory_format=torch.channels_last)
        parts = {"network": network, "optimiser": optimiser(network.parameters(), lr=0.1)}
        run = training.Training(path, log=lambda text: None, **parts)
        for _ in run.epochs(steps):
            x, y = torch.rand(2, 3, 6, 6), torch.randint(0, 2, (2, 4, 4))
            parts["optimiser"].zero_grad()
            loss(network(x.to(place)), y.to(place)).backward()
            parts["optimiser"].step()
        return network

    wanted = trained("cpu", tmp_path / "cpu.pt", 4).state_dict()
    with device:
        trained(NAME, tmp_path / "there.pt", 2)
        found = trained(NAME, tmp_path / "there.pt", 4)  # goes on from the checkpoint
        assert {str(p.device) for p in found.parameters()} == {NAME}
        assert all(torch.equal(value.cpu(), wanted[name]) for name, value in found.state_dict().items())
    saved = load_torch(tmp_path / "there.pt")["parts"]["network"]
    assert all(type(value) is torch.Tensor and torch.equal(value, wanted[name]) for name, value in saved.items())


def test_repeatable_kernels_are_asked_for_and_not_demanded(device):
    logits, labels = torch.rand(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long)
    with device:
        torch.use_deterministic_algorithms(True)
        with pytest.raises(RuntimeError, match="deterministic"):
            F.cross_entropy(logits.to(NAME), labels.to(NAME))
        training.seed_everything(0, deterministic=True)
        assert torch.are_deterministic_algorithms_enabled()
        F.cross_entropy(logits.to(NAME), labels.to(NAME))
