"""Each experiment's resolved values are pinned: a default that is changed in a notebook is seen in all that use it.

`python -m tests.run.test_digests` pins the values as they are now.
"""

import csv
import hashlib
import io
import json
from pathlib import Path

from wsnb.files import save_text
from wsnb.run import experiments

ROOT = Path(__file__).parents[2]
PINNED = Path(__file__).parent / "digests.csv"


def digest(experiment) -> str:
    """SHA-256 of every value of every stage."""
    values = [[stage.name, sorted(stage.values.items())] for stage in experiment.stages]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def digests() -> dict:
    """{paper/name: digest} of all experiments."""
    return {title: digest(experiments.load(ROOT, *title.split("/"))) for title in experiments.names(ROOT)}


def test_values_are_those_that_were_pinned():
    pinned = dict(csv.reader(PINNED.read_text().splitlines()))
    now = digests()
    changed = sorted(title for title in pinned.keys() | now.keys() if pinned.get(title) != now.get(title))
    assert not changed, f"values of {', '.join(changed)} changed; if so meant: python -m tests.run.test_digests"


def test_every_value_counts():
    one = experiments.load(ROOT, "single_stage", "shapes")
    assert digest(one) != digest(experiments.with_values(one, {"lr": 0.011}))
    assert digest(one) != digest(experiments.with_values(one, {"supervision": "tags"}))  # of the last stage only


if __name__ == "__main__":
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(digests().items())
    save_text(PINNED, text.getvalue())
