"""Parameter files of small experiments against the paper's own: is every departure marked with the paper's value?"""

import re
from pathlib import Path

import yaml

from wsnb.run import params

PARAMS = Path(__file__).parents[1] / "params"
ANYWHERE = {"stages", "data_root", "run_dir", "layout", "workers", "threads", "seed", "train_split", "limit",
            "val_split", "val_limit", "dataset", "output_stride"}  # where things lie and on what they run


def unmarked(small, paper, free=()) -> set:
    """Parameters that both experiments (PAPER/NAME) have with different values, without `# paper: VALUE, why`."""
    path, marked = PARAMS / f"{small}.yaml", {}
    for line in path.read_text().splitlines():
        if found := re.match(r'(\w+): .*# paper: (\[.*?\]|"[^"]*"|[^,]+), \S', line):
            marked[found[1]] = yaml.safe_load(found[2])
    ours, theirs = params.load_yaml(path), params.load_yaml(PARAMS / f"{paper}.yaml")
    return {key for key in (ours.keys() & theirs.keys()) - ANYWHERE - set(free)
            if ours[key] != theirs[key] and marked.get(key) != theirs[key]}
