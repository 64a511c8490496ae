"""Experiments against the paper's own: is every departure marked with the paper's value, and does it have a reason?"""

from pathlib import Path

from wsnb.run import experiments, params

ROOT = Path(__file__).parents[1]
ANYWHERE = {"data_root", "run_dir", "layout", "workers", "threads", "seed", "train_split", "limit",
            "val_split", "val_limit", "dataset", "output_stride"}  # where the data are and on what machine it runs


def values(title) -> dict:
    """All resolved values of the experiment PAPER/NAME, but for those of stages of other experiments."""
    stages = experiments.load(ROOT, *title.split("/")).stages
    own = [stage.values for stage in stages if not stage.source]
    return {name: value for values in own for name, value in values.items() if name != "round"}


def header(title) -> str:
    """The comment above an experiment's values."""
    return (ROOT / f"params/{title}.yaml").read_text().split("stages:")[0]


def unmarked(small, paper, free=()) -> set:
    """Parameters that both experiments (PAPER/NAME) have with different values, without `# paper: VALUE`."""
    ours, theirs = values(small), values(paper)
    marked = params.paper_values(ROOT / f"params/{small}.yaml")
    return {key for key in (ours.keys() & theirs.keys()) - ANYWHERE - set(free)
            if ours[key] != theirs[key] and marked.get(key) != theirs[key]}


def without_reason(title) -> list:
    """Lines that say `# paper: VALUE` and no reason, where the header's `Departures:` gives none for all."""
    if "# Departures: " in header(title):
        return []
    found = [line for line in (ROOT / f"params/{title}.yaml").read_text().splitlines() if "# paper:" in line]
    return [line for line in found if not params.PAPER.match(line)["reason"]]
