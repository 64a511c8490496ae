"""The real command on the real notebooks of this paper, made small."""

from tests import command

SEMANTIC = {"threads": 1, "workers": 0, "jitter_runs": 2, "epochs": 1, "batch": 4, "crop": 48, "width": 16,
            "crf_iterations": 2, "train_labels": "[full, rectangles]", "crf_at_test": "true", "head_rates": "[1, 2, 3]"}
INSTANCE = {"threads": 1, "workers": 0, "last_steps": "[2, 4, 6]", "rate_steps": "[5]", "samples": 2, "overlays": 0}


def words(experiment, data, runs, *more, **overrides):
    small = SEMANTIC if "semantic" in experiment else INSTANCE
    return command.run_words(f"simple_does_it/{experiment}", data, runs, *more, **{**small, **overrides})


def run(experiment, data, runs, *more, **overrides):
    """Run a small experiment to its end; its exit code and its text."""
    return command.wsnb(*words(experiment, data, runs, *more, **overrides))


def start(experiment, data, runs, *more, **overrides):
    """Start it as a process of its own."""
    return command.start(*words(experiment, data, runs, *more, **overrides))


def stage(runs, experiment, name):
    return command.stage(runs, f"simple_does_it/{experiment}", name)


def manifest(runs, experiment, name):
    return command.manifest(runs, f"simple_does_it/{experiment}", name)
