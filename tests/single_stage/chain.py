"""The real command on the real notebooks of this paper, made small."""

from tests import command

SMALL = {"threads": 1, "workers": 0, "width": 16, "crop": 48, "batch": 4, "epochs": 8, "pretrain": 1,
         "validate_every": 1, "scales": "[1.0, 0.5]", "padded_side": 128, "crf_iterations": 2,
         "head_rates": "[1, 2, 3]"}
EXPERIMENT = "single_stage/shapes"
_CHAIN = command.Chain(EXPERIMENT, SMALL)
run, start, stage, manifest = _CHAIN.run, _CHAIN.start, _CHAIN.stage, _CHAIN.manifest


def values(record):
    """(name, tags, CRF) -> value of a manifest's results."""
    found = {}
    for row in record["results"]:
        protocol = row["protocol"] or {}
        found[row["name"], protocol.get("method"), protocol.get("image_labels"), bool(protocol.get("crf"))] = row[
            "value"]
    return found
