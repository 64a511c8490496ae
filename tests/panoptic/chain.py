"""The real command on the real notebooks, made small: six street scenes, one epoch."""

from tests import command

EXPERIMENT = "panoptic/shapes"
SMALL = {"threads": 1, "workers": 0, "width": 16, "crop": 48, "batch": 4, "epochs": 1, "later_epochs": 1,
         "cam_epochs": 1, "cam_flip": "false", "crop_input": "[28, 35]", "limit": 4, "val_limit": 2,
         "crf_iterations": 1, "detections": "[components]", "head_rates": "[1, 2, 3]"}


def words(data, runs, *more, experiment=EXPERIMENT, **overrides):
    return command.run_words(experiment, data, runs, *more, **{**SMALL, **overrides})


def run(data, runs, *more, **overrides):
    """Run a small experiment to its end; its exit code and its text. None: a parameter is not given."""
    return command.wsnb(*words(data, runs, *more, **overrides))


def start(data, runs, *more, **overrides):
    """Start it as a process of its own."""
    return command.start(*words(data, runs, *more, **overrides))


def stage(runs, name, experiment=EXPERIMENT):
    return command.stage(runs, experiment, name)


def manifest(runs, name, experiment=EXPERIMENT):
    return command.manifest(runs, experiment, name)
