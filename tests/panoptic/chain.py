"""The real command on the real notebooks, made small: six street scenes, one epoch."""

from tests import command

EXPERIMENT = "panoptic/shapes"
SMALL = {"threads": 1, "workers": 0, "width": 16, "crop": 48, "batch": 4, "epochs": 1, "later_epochs": 1,
         "cam_epochs": 1, "cam_flip": "false", "crop_input": "[28, 35]", "limit": 4, "val_limit": 2,
         "crf_iterations": 1, "detections": "[components]", "head_rates": "[1, 2, 3]"}
_CHAIN = command.Chain(EXPERIMENT, SMALL)
run, start, stage, manifest = _CHAIN.run, _CHAIN.start, _CHAIN.stage, _CHAIN.manifest
