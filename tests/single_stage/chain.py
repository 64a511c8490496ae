"""The real command on the real notebooks of this paper, made small."""

from tests import command

SMALL = {"threads": 1, "workers": 0, "width": 16, "crop": 48, "batch": 4, "epochs": 8, "pretrain": 1,
         "validate_every": 1, "scales": "[1.0, 0.5]", "padded_side": 128, "crf_iterations": 2,
         "head_rates": "[1, 2, 3]"}
EXPERIMENT = "single_stage/shapes"


def words(data, runs, *more, **overrides):
    return command.run_words(EXPERIMENT, data, runs, *more, **{**SMALL, **overrides})


def run(data, runs, *more, **overrides):
    """Run the small experiment to its end; its exit code and its text."""
    return command.wsnb(*words(data, runs, *more, **overrides))


def start(data, runs, *more, **overrides):
    """Start it as a process of its own."""
    return command.start(*words(data, runs, *more, **overrides))


def stage(runs, name):
    return command.stage(runs, EXPERIMENT, name)


def manifest(runs, name):
    return command.manifest(runs, EXPERIMENT, name)


def values(record):
    """(name, tags, CRF) -> value of a manifest's results."""
    found = {}
    for row in record["results"]:
        protocol = row["protocol"] or {}
        found[row["name"], protocol.get("method"), protocol.get("image_labels"), bool(protocol.get("crf"))] = row[
            "value"]
    return found
