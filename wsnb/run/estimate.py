"""`wsnb plan NAME --estimate`: time, memory and disk of each stage, computed before anything is there.

A stage on a GPU takes the operations of its true network (wsnb/papers/PAPER/cost.py) at a share of the GPU's speed, or
what its processes take beside it (figures/rates.csv, measured), whichever is longer. A stage without a GPU takes what
its published run took for a megapixel. What stays on disk of a megapixel is read off published runs, too.
"""

import contextlib
import functools
import importlib
import importlib.util
import math
import statistics
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

from wsnb.data import sizes
from wsnb.files import FileError, load_json
from wsnb.run import experiments, params, paths, plan

GPUS = {  # GB of memory; 10^12 operations a second: float32, and bfloat16 without sparsity; as their makers say
    "v100": (32, 15.7, 125), "rtx3090": (24, 35.6, 71), "rtx4090": (24, 82.6, 165), "a100": (80, 19.5, 312),
    "l40s": (48, 91.6, 362), "h100": (80, 66.9, 989), "h200": (141, 66.9, 989),
}
SHARE = {"exact": 0.5, "fast": 0.2}  # of that speed, which trainings of ResNet-50 are known to reach
USUAL = "a100"  # the GPU of the headers
PARTS = {"voc_small": ("voc", {}), "camvid_small": ("cityscapes", {"height": 360, "width": 480})}  # published sets
GB = 1e9


@dataclass(frozen=True)
class Estimate:
    """A stage's hours; those of the GPU and of cores among them; bytes of the GPU, of main memory, of disk."""

    stage: str
    hours: float
    gpu_hours: float
    core_hours: float
    gpu_bytes: float
    memory: float
    disk: float


def load(options, title: str):
    """The experiment TITLE with the values of the command line; its files need not be there. Raises ParamsError."""
    experiment = experiments.load(options.project, *experiments.split(options.project, title))
    declared = experiments.union(experiment)
    values = dict(params.parse_override(text, declared) for text in options.overrides)
    if options.workers is not None:
        values["workers"] = params.check(declared["workers"], options.workers, "--workers")
    experiment = experiments.with_values(experiment, values)
    last = [stage.name for stage in experiment.stages].index(plan.last_stage(experiment, options.until))
    return replace(experiment, stages=experiment.stages[: last + 1])


def of_stages(project, experiment, gpu: str = USUAL) -> list:
    """An Estimate a stage. Raises ParamsError for an unknown GPU and for a stage of which nothing is known, FileError
    for a split whose size is not known."""
    if gpu not in GPUS:
        raise params.ParamsError(f"--gpu {gpu}: {params.nearest(gpu, list(GPUS))}")
    if not experiments.is_at_full_size(experiment):
        raise params.ParamsError(f"{experiment.title}: --estimate is for experiments on published data sets at their "
                                 "full size, whose header names it; a run of this one says what it takes")
    return [of_stage(project, stage.source or experiment, stage, gpu) for stage in experiment.stages]


def of_stage(project, experiment, stage, gpu: str = USUAL) -> Estimate:
    """The Estimate of a stage of EXPERIMENT."""
    work, rates = work_of(experiment, stage.name), rates_of(project)
    ran = published(project, experiment.paper, paths.split_stage(stage.name)[0])
    if work.measured and ran is None:
        raise params.ParamsError(f"{experiment.title} {stage.name}: its estimate needs a published run of it")
    speed = stage.values.get("speed", "exact") if work.training else "exact"
    share = SHARE[speed] * GPUS[gpu][1 + (speed == "fast")] * 1e12
    gpus = experiment.values.get("gpus", 1) if work.training else 1
    workers = max(1, stage.values.get("workers", 1))
    on_gpu = work.flops / share / gpus / 3600
    on_cores = (sum(rates[name] * amount for name, amount in work.cores.items())
                + (work.measured * ran["seconds"] if work.measured else 0)) / 3600
    memory = (1 + workers) * rates["memory of a process"] + (ran["peak"] if ran else 0)
    disk = work.disk + (work.kept * ran["bytes"] if ran else 0)
    return Estimate(stage.name, max(on_gpu, on_cores / workers), on_gpu, on_cores, work.memory, memory, disk)


def disk_of(project, experiment, stage) -> float:
    """Bytes that a stage will keep, and its checkpoint while that is replaced; as `of_stage`, without the rest."""
    work = work_of(experiment, stage.name, whole=False)
    ran = published(project, experiment.paper, paths.split_stage(stage.name)[0])
    return work.disk + (work.kept * ran["bytes"] if ran else 0)


@functools.cache
def rates_of(project) -> dict:
    """{work: seconds of a core, or bytes} as `python -m benchmarks.rates` measured them. Raises FileError."""
    path = Path(project, "figures/rates.csv")
    if not path.is_file():
        raise FileError(f"{path}: missing; `python -m benchmarks.rates` measures it")
    return pd.read_csv(path).set_index("work").per_core.to_dict()


def work_of(experiment, stage: str, whole=True):
    """The Work of a stage by its paper's module `cost`; where it is not the WHOLE, without the operations of networks,
    which takes a tenth of the time. Raises ParamsError where there is none."""
    stem, round_ = paths.split_stage(stage)
    name = f"wsnb.papers.{experiment.paper}.cost"
    module = importlib.import_module(name) if importlib.util.find_spec(name) else None
    if module is None or stem not in module.STAGES:
        raise params.ParamsError(f"{experiment.title} {stage}: no estimate; add {stem} to STAGES of {name}")
    values = {**experiment.values, "round": round_, "stages": [one.name for one in experiment.stages]}
    with contextlib.nullcontext() if whole else module.cost.parameters_alone():
        return module.STAGES[stem](SimpleNamespace(**values))


@functools.cache
def published(project, paper: str, stem: str) -> dict | None:
    """What a megapixel of a stage cost in the published runs of its paper, the median: "seconds" of cores, "bytes" of
    files; the largest "peak" of memory. None if no published run has it."""
    found = []
    for path in sorted(Path(project, "figures", paper).glob("*/record.json")):
        small = next((name for name in PARTS if path.parent.name.startswith(name)), None)
        ran = load_json(path)["stages"].get(stem)
        if small is None or ran is None:
            continue
        layout, size = PARTS[small]
        lists = {file.stem.removeprefix(f"{small}_"): len(file.read_text(encoding="utf-8").split())
                 for file in Path(project, "figures/lists").glob(f"{small}_*.txt")}
        with sizes.instead(layout, lists, **size), sizes.instead("sbd", lists):
            work = work_of(experiments.load(project, paper, path.parent.name), stem, whole=False)
        cores = max(1, ran["params"].get("workers") or 1)
        through = work.kept or math.inf  # of a training: it keeps no maps
        found.append((ran["seconds"] * cores / through, (ran["files"]["bytes"] - work.disk) / through,
                      ran["peak_cpu_bytes"]))
    if not found:
        return None
    seconds, size, peak = zip(*found, strict=True)
    return {"seconds": statistics.median(seconds), "bytes": max(0, statistics.median(size)), "peak": max(peak)}


def text(project, experiment, gpu: str) -> str:
    """The estimates of an experiment's stages as a table, with their sum."""
    rows = of_stages(project, experiment, gpu)
    frame = pd.DataFrame([{
        "stage": row.stage, "hours": row.hours, "GPU hours": row.gpu_hours, "core hours": row.core_hours,
        "GPU GB": row.gpu_bytes / GB, "memory GB": row.memory / GB, "disk GB": row.disk / GB} for row in rows])
    largest = frame[["GPU GB", "memory GB"]].max()
    frame.loc[len(frame)] = {"stage": "all", **frame.drop(columns="stage").sum(), **largest}
    return (f"{frame.to_string(index=False, float_format='{:.2f}'.format)}\n"
            f"computed: operations of the networks at {SHARE['exact']:.0%} of the {GPUS[gpu][1]} Tflop/s of one "
            f"{gpu.upper()} ({GPUS[gpu][0]} GB) in float32; {cores_of(experiment)} cores as measured in "
            "figures/rates.csv; stages without a GPU as their published runs\n"
            f"header: {header(project, experiment)}")


def cores_of(experiment) -> int:
    return max(max(1, stage.values.get("workers", 1)) for stage in experiment.stages)


def header(project, experiment) -> str:
    """What an experiment's header says of hardware and time: "1 A100 of 80 GB (...), ..."."""
    rows = of_stages(project, experiment)
    gpu, memory = max(row.gpu_bytes for row in rows), max(row.memory for row in rows)
    gpus = experiment.values.get("gpus", 1)
    fitting = next((name for name in (USUAL, "h200") if gpu <= GPUS[name][0] * GB), "h200")
    return (f"{gpus} {fitting.upper()} of {GPUS[fitting][0]} GB ({up(gpu / GB)} GB used), "
            f"{cores_of(experiment)} cores, {up(memory / GB)} GB of RAM, "
            f"{up(sum(row.disk for row in rows) / GB)} GB of disk, {duration(sum(row.hours for row in rows))} by "
            f"{experiments.ESTIMATED}")


def up(number: float) -> int:
    """Two digits, rounded up: 12.3 -> 13, 1234 -> 1300."""
    step = 10 ** max(0, math.floor(math.log10(max(number, 1))) - 1)
    return math.ceil(number / step) * step


def duration(hours: float) -> str:
    """'31 h', '4 days'."""
    return f"{up(hours)} h" if hours < 72 else f"{up(hours / 24)} days"
