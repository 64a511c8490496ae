"""The ladder of label quality: whose row is whose, and what gains over what."""

import numpy as np

from wsnb.papers.no_people_allowed import evaluate

PRESETS = ["faithful", "fixed", "mine"]


def results():
    """A CAM row of each preset (10, 20, 30 %), and walks, of which the tuned one counts."""
    made = []
    for k, name in enumerate(PRESETS, 1):
        shared = {"preset": evaluate.preset_of(name), "threshold_split": "train"}
        made.append({"value": 10.0 * k, "step": f"CAM, {name}, train", "protocol": {**shared, "method": "CAM"}})
        made.append({"value": 25.0, "step": f"CAM + CRF, {name}, train", "protocol": {**shared, "method": "CAM + CRF"}})
        walk = {**shared, "method": "semantic pseudo label"}
        made.append({"value": 21.0, "step": f"walk, {name}, best threshold, train", "protocol": walk})
        made.append({"value": 1.0, "step": f"walk, {name}, train", "protocol": {**walk, "threshold_split": "none"}})
    return made


def test_every_preset_has_its_own_rung():
    tables = {name: np.eye(2, dtype=np.int64) for name in (*PRESETS, evaluate.FLOOR)}
    found = evaluate.rungs(results(), PRESETS, tables)
    assert found["CAM"] == {"faithful": 10, "fixed": 20, "mine": 30} and found["walk"] == dict.fromkeys(PRESETS, 21)
    assert found["pseudo masks"] == dict.fromkeys(PRESETS) and found["segmentation"]["mine"] == 100


def test_the_walk_is_held_against_the_maps_and_against_the_crf():
    tables = {name: np.eye(2, dtype=np.int64) for name in (*PRESETS, evaluate.FLOOR)}
    said = evaluate.gains(evaluate.rungs(results(), PRESETS, tables))
    assert "faithful: walk gains: 10.0 -> 21.0 % mIoU over CAM" in said
    assert "faithful: walk does NOT gain: 25.0 -> 21.0 % mIoU over CAM + CRF" in said
    assert "mine: walk does NOT gain: 30.0 -> 21.0 % mIoU over CAM" in said
    assert "mine: CAM + CRF does NOT gain: 30.0 -> 25.0 % mIoU over CAM" in said
