"""The comparisons: notebooks/compare/ run by papermill over the results frame, again only after a change."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wsnb import viz
from wsnb.files import save_text
from wsnb.run import papers
from wsnb.run.fingerprint import digest
from wsnb.run.paths import check_name

FOLDER = "compare"  # of notebooks/; no paper
AT_ONCE = 2  # kernels


class CompareError(RuntimeError):
    """A comparison could not be run; the message holds the end of what papermill said."""


def notebooks(project) -> list:
    """The comparisons of a project, in their order."""
    found = sorted(Path(project, "notebooks", FOLDER).glob("[0-9]*.ipynb"))
    return [path for path in found if check_name("notebook", path.stem)]


def run(project, records, runs, figures, work) -> list:
    """Paths of the executed comparisons in WORK. One whose records, notebook and code did not change since its last
    execution is taken as it is. Raises CompareError."""
    found = digest([[record.title, record.stage, record.manifest] for record in records])
    code = [*Path(__file__).parent.glob("*.*"), Path(viz.__file__), *papers.PLACE.glob(f"*/{papers.NAME}"),
            *papers.PLACE.glob(f"*/{papers.REPORTED}")]  # fmt: skip
    common = digest([found, str(runs), str(figures), [path.read_text(encoding="utf-8") for path in sorted(code)]])
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda path: _run(path, common, project, runs, figures, Path(work)), notebooks(project)))


def _run(path, common, project, runs, figures, work) -> Path:
    made, known = work / path.name, work / f"{path.stem}.key"
    key = digest([common, path.read_text(encoding="utf-8")])
    if made.is_file() and known.is_file() and known.read_text() == key:
        return made
    work.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", "--log-level", "WARNING", "--kernel", "python3",
               "--cwd", project, path, made, "-r", "runs", runs, "-r", "figures", figures]  # fmt: skip
    known.unlink(missing_ok=True)
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env={**os.environ, "WSNB_ROOT": str(project), "OMP_NUM_THREADS": "1"})  # fmt: skip
    if done.returncode:
        raise CompareError(f"{path} could not be run:\n{(done.stdout + done.stderr)[-2000:]}")
    save_text(known, key)
    return made
