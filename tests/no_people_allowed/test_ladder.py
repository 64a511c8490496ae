"""The ladder of label quality: whose row is whose, and what gains over what."""

import numpy as np

from wsnb.papers.no_people_allowed import evaluate


def results():
    """A CAM row (10 %), one after the CRF (25 %), and walks, of which the tuned one counts."""
    def row(value, method, split="train"):
        return {"value": value, "protocol": {"method": method, "threshold_split": split}}

    return [row(10.0, "CAM"), row(25.0, "CAM + CRF"), row(1.0, "semantic pseudo label", "none"),
            row(21.0, "semantic pseudo label"), row(2.0, "semantic pseudo label", "none")]


TABLES = {"segmentation": np.eye(2, dtype=np.int64), evaluate.FLOOR: np.array([[1, 0], [1, 0]])}


def test_every_step_has_its_rung():
    found = evaluate.rungs(results(), TABLES)
    assert found["CAM"] == 10 and found["walk"] == 21 and found["pseudo masks"] is None
    assert found["segmentation"] == 100 and found[evaluate.FLOOR] == 25
    nothing = evaluate.rungs([], {})
    assert set(nothing) == set(found) and set(nothing.values()) == {None} and not evaluate.gains(nothing)


def test_the_walk_is_held_against_the_maps_and_against_the_crf():
    said = evaluate.gains(evaluate.rungs(results(), TABLES))
    assert "walk gains: 10.0 -> 21.0 % mIoU over CAM" in said
    assert "walk does NOT gain: 25.0 -> 21.0 % mIoU over CAM + CRF" in said
    assert "CAM + CRF gains: 10.0 -> 25.0 % mIoU over CAM" in said
