"""What a notebook costs besides its work: papermill's command against `wsnb run`, whose kernels are forked.

`python -m benchmarks.overhead [runs]` takes the notebook of `wsnb new paper` on two pictures, the same work in both.
The quickest of some runs counts: other work on the machine makes the others longer.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.rows import Row
from wsnb.data.synthetic import make_voc
from wsnb.run import new_paper


def printed(words, project) -> str:
    """What a command prints in PROJECT. Raises CalledProcessError."""
    return subprocess.run([sys.executable, "-m", *words], check=True, cwd=project, capture_output=True, text=True,
                          env={**os.environ, "WSNB_ROOT": str(project)}).stdout


def main(runs=6):
    with tempfile.TemporaryDirectory() as place:
        project, data = Path(place), str(make_voc.shapes(Path(place, "pictures"), train=2, val=1, size=(48, 64)))
        new_paper.make(project, "mine")
        plain = []
        for _ in range(runs // 2):
            began = time.perf_counter()
            printed(["papermill", "notebooks/mine/01_method.ipynb", "out.ipynb", "-p", "data_root", data], project)
            plain.append(time.perf_counter() - began)
        seeds = ["--seeds", f"10-{9 + runs}", "--data-root", data]
        said = printed(["wsnb.run.cli", "run", "mine/shapes", *seeds], project)
        ours = [float(seconds) for seconds in re.findall(r": done in ([\d.]+) s", said)]
    assert len(ours) == runs, said
    print(f"papermill {min(plain):.2f} s; wsnb run {min(ours):.2f} s a notebook; of {len(plain)} and {runs}")
    return [Row("a notebook with next to no work", f"{min(plain):.2f} s, papermill's command",
                f"{min(ours):.2f} s, one process", f"{min(plain) / min(ours):.1f} x", "same cells, same pictures",
                "2 s", min(ours) <= 2)]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
