"""The real command on the real notebooks of the student, made small."""

from tests import command

SMALL = {"threads": 1, "workers": 0, "steps": 2, "batch": 4, "crop": 48, "width": 16, "crf_iterations": 2}
BOXES = {"label_methods": "[rectangles]", "labels_stage": "06_labels/labels/rectangles", "source": "Rectangles"}


def run(experiment, data, runs, *more, **overrides):
    """Run a small student to its end; its exit code and its text."""
    return command.wsnb(*command.run_words(f"student/{experiment}", data, runs, *more, **{**SMALL, **overrides}))


def manifest(runs, experiment, stage):
    return command.manifest(runs, f"student/{experiment}", stage)
