"""The real command on the real notebooks, made small."""

from tests import command

SMALL = {"threads": 1, "workers": 0, "limit": 6, "val_limit": 3, "batch": 3, "crop": 48, "dim": 8, "iterations": 4,
         "clusters": "[3, 3]", "retrieval_clusters": "[4, 4]", "crf_iterations": 1, "classifier_iterations": 3,
         "classifier_batch": 3}


def run(experiment, data, runs, *more, only=tuple(SMALL), **overrides):
    """Run a small experiment to its end; its exit code and its text. ONLY: those of SMALL that the experiment has."""
    values = {**{key: SMALL[key] for key in only}, **overrides}
    return command.wsnb(*command.run_words(f"spml/{experiment}", data, runs, *more, **values))


def folder(runs, experiment, stage):
    return command.stage(runs, f"spml/{experiment}", stage)


def manifest(runs, experiment, stage):
    return command.manifest(runs, f"spml/{experiment}", stage)
