"""The record of a finished stage: written last, so that a stage is done if and only if it is there and true."""

import dataclasses
import importlib.metadata
import math
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

from wsnb.files import FileError, load_json, save_json, sha256

NAME = "manifest.json"
RESULTS = "results.json"
PARAMS = "params.json"
LOG = "log.txt"
FAILED_NOTEBOOK = "notebook.failed.ipynb"
FORMAT = 1
ROLES = ("final", "ladder", "bound")  # of a result


def artefacts(folder) -> dict:
    """{path relative to a stage's folder: os.stat_result} of its files, sorted; not the manifest, the log, hidden files
    or links.
    """
    found, waiting = {}, [("", folder)]
    while waiting:
        prefix, place = waiting.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.is_symlink():
                    continue
                if entry.is_dir():
                    waiting.append((f"{prefix}{entry.name}/", entry.path))
                else:
                    found[prefix + entry.name] = entry.stat()
    return {name: found[name] for name in sorted(found) if name not in (NAME, LOG, FAILED_NOTEBOOK)}


def write(folder, record: dict) -> dict:
    """Add the files of FOLDER to RECORD (see Stage.record) and write it as the stage's manifest. Returns it.

    RECORD's format, paper, experiment, stage, key, parts, params, results, notes, environment, seed, started,
    seconds, peak_cpu_bytes and peak_gpu_bytes go in unchanged.
    """
    folder = Path(folder)
    files = {
        name: {"size": status.st_size, "sha256": sha256(folder / name)} for name, status in artefacts(folder).items()
    }
    manifest = {**record, "format": FORMAT, "files": files}
    save_json(folder / NAME, manifest)
    return manifest


def read(folder) -> dict | None:
    """The manifest of a stage folder, or None if there is none.

    It says nothing else than the stage's results.json. Raises FileError if it is damaged, or either of them was edited.
    """
    path = Path(folder) / NAME
    if not path.exists():
        return None
    manifest = load_json(path)
    wanted = ("format", "key", "parts", "files", "results")
    if (
        not isinstance(manifest, dict)
        or any(name not in manifest for name in wanted)
        or manifest["format"] != FORMAT
    ):
        raise FileError(f"{path}: not a manifest of format {FORMAT}; move it away and run the stage again")
    results, files = path.with_name(RESULTS), manifest["files"]
    if not isinstance(files, dict) or any(
        not isinstance(of, dict) or of.keys() != {"size", "sha256"} for of in files.values()
    ):
        raise FileError(f"{path}: its list of files was edited; run the stage again")
    if RESULTS not in files or sha256(results) != files[RESULTS]["sha256"]:
        raise FileError(f"{results}: not the file that {NAME} lists; run the stage again")
    edited = [name for name, value in load_json(results).items() if manifest.get(name) != value]
    if edited:
        raise FileError(f"{path}: {', '.join(edited)} is not what {RESULTS} says; run the stage again")
    return manifest


def title(result: dict) -> str:
    """A result's name with the details that tell it from its neighbours: method, origin of tags, CRF."""
    protocol = result.get("protocol") or {}
    clean = "clean" if protocol.get("image_labels") == "ground truth" else ""
    details = [result.get("step") or protocol.get("method", ""), clean, "CRF" if protocol.get("crf") else ""]
    details = ", ".join(filter(None, details))
    return f"{result['name']} ({details})" if details else result["name"]


def problems(folder, manifest: dict, full: bool = False) -> list:
    """Differences between a manifest and the files on disk, one phrase a file; empty if there are none.

    Names and sizes are always compared; contents of files no older than the manifest, or of all with
    FULL.
    """
    folder, listed = Path(folder), manifest["files"]
    written, files = (folder / NAME).stat().st_mtime_ns, artefacts(folder)
    found = [f"{name} is not in its {NAME}" for name in files if name not in listed]
    for name, record in listed.items():
        status = files.get(name)
        if status is None:
            found.append(f"{name} is missing")
        elif status.st_size != record["size"]:
            found.append(f"{name} has {status.st_size} bytes instead of {record['size']}")
        elif (full or status.st_mtime_ns >= written) and sha256(folder / name) != record["sha256"]:
            found.append(f"{name} was changed")
    return found


def environment(root) -> dict:
    """Versions, device and git commit that this process runs with."""
    torch = sys.modules.get("torch")
    has_gpu = torch is not None and torch.cuda.is_available()
    return {
        "python": platform.python_version(),
        "torch": _version("torch"),
        "cuda": None if torch is None else torch.version.cuda,
        "gpu": torch.cuda.get_device_name() if has_gpu else None,
        "cv2": _version("opencv-python"),
        "platform": platform.platform(),
        "cpu_count": len(os.sched_getaffinity(0)),
        "git_commit": _git(root, "rev-parse", "HEAD"),
        "git_dirty": None
        if (dirty := _git(root, "status", "--porcelain", "--untracked-files=no")) is None
        else bool(dirty),
    }


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git(root, *arguments):
    """Output of git, or None where there is no git or no repository: a record may lack it, a run must not
    fail.
    """
    try:
        command = ["git", "-C", str(root), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def peak_memory() -> tuple[int, int]:
    """Largest memory that this process held so far, in bytes: (main memory, GPU)."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        cpu = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        cpu = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return cpu, 0
    return cpu, max(torch.cuda.max_memory_allocated(device) for device in range(torch.cuda.device_count()))


def plain(value):
    """VALUE as JSON can hold it: arrays and tensors as lists, dataclasses as mappings, NaN and infinities as
    null.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if hasattr(value, "tolist"):  # NumPy arrays and scalars, tensors
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    raise TypeError(
        f"{value!r} ({type(value).__name__}) cannot go into a record; use numbers, text, lists or mappings"
    )
