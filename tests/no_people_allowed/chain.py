"""The real command on the real notebooks of this paper, made small."""

from tests import command

EXPERIMENT = "no_people_allowed/shapes"
FIXED = "no_people_allowed/shapes_fixed"
SMALL = {"threads": 1, "workers": 0, "epochs": 1, "irnet_epochs": 1, "seg_epochs": 1, "side": 64, "picture_side": 64,
         "irnet_side": 64, "walk_side": 64, "seg_side": 64, "seg_width": 16, "irnet_radius": 3,
         "crf_iterations": 2, "walk_exp_times": 4, "centroid_steps": 20, "cam_scales": "[1.0, 0.5]",
         "test_scales": "[1.0]", "tune_every": 2, "batch": 4}
_CHAIN = command.Chain(EXPERIMENT, SMALL)
run, start, stage, manifest = _CHAIN.run, _CHAIN.start, _CHAIN.stage, _CHAIN.manifest


def values(record):
    """(name, method, preset) -> value of a manifest's results."""
    return {(r["name"], r["protocol"]["method"], r["protocol"]["preset"]): r["value"] for r in record["results"]}
