"""Stage: the object that a notebook holds while it runs, alike under the runner, plain papermill and JupyterLab.

The runner passes its instructions in the kernel's environment; without them, see interactive.py.
"""

import ctypes
import datetime
import json
import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from wsnb.files import load_json, printable, save_json
from wsnb.run import contents, experiments, interactive, locks, manifest, notebooks, output_limits, params, paths, store
from wsnb.run.manifest import plain

KEY = "WSNB_STAGE_KEY"
INSTRUCTIONS = "WSNB_STAGE"
PR_SET_PDEATHSIG = 1


def environment(key: str, instructions: dict) -> dict:
    """Environment variables that hold a kernel's instructions."""
    return {KEY: key, INSTRUCTIONS: json.dumps(instructions)}


def instructions(paper: str, notebook: str) -> dict | None:
    """The runner's instructions to this kernel: {"key", "root", "paper", "experiment", "stage", "notebook", "values",
    "parts", "folder", "shown"}; None in an interactive kernel, and in one that a kernel with instructions started for
    another notebook.
    """
    if KEY not in os.environ:
        return None
    message = json.loads(os.environ[INSTRUCTIONS])
    if (message["paper"], message["notebook"]) != (paper, notebook):
        return None
    return {**message, "key": os.environ[KEY]}


def die_with_parent() -> None:
    """Have the system kill this process as soon as the runner is gone, and its forked workers with it.

    ipykernel looks for its parent once a second; within that second an orphan could still write. Linux only:
    elsewhere ipykernel's own look stays the only one.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)

    def bind():
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    bind()
    os.register_at_fork(after_in_child=bind)
    parent = int(os.environ.get("JPY_PARENT_PID", "0"))
    if parent and os.getppid() != parent:  # it died before we could ask
        os.kill(os.getpid(), signal.SIGKILL)


class StageError(RuntimeError):
    """A stage that cannot begin, go on or finish; the message gives the reason and the remedy."""


class Stage:
    """One run of one stage.

    params  SimpleNamespace of all declared parameters
    folder  Path of its folder in the store, for all its files
    root    Path of the project
    """

    @classmethod
    def begin(cls, paper: str, notebook: str, namespace: dict) -> "Stage":
        """Begin the stage of notebooks/PAPER/NOTEBOOK.ipynb with the parameters in NAMESPACE, the notebook's
        globals().

        Waits at most 5 s for the key's locks. Raises StageError, ParamsError, FileError or LockedError.
        """
        for value in list(namespace.values()):
            if isinstance(value, cls):  # the cell was run again: let go of the earlier locks
                value._close()
        self = cls()
        try:
            self._begin(paper, notebook, namespace)
        except BaseException:
            self._close()
            raise
        return self

    def __init__(self):
        self._began, self._locks, self._cells, self._record_before = time.time(), [], None, None
        self._log_room = output_limits.Room("a stage may log")
        self._sound = set()  # folders of earlier stages that were compared with their records

    def _begin(self, paper, notebook, namespace):
        self._instructions = instructions(paper, notebook)
        if self._instructions:
            die_with_parent()
            output_limits.cap_streams(namespace)
        self.root = Path(self._instructions["root"]) if self._instructions else paths.find()
        self._notebook = notebooks.read(
            self.root / "notebooks" / paths.check_name("paper", paper) / f"{notebook}.ipynb"
        )
        values = _values(params.declared(self._notebook), namespace, self._notebook.path)
        self.params = SimpleNamespace(**_with_files(self._notebook, values, self.root))
        begin = self._begin_driven if self._instructions else self._begin_interactive
        parts, names = begin(paper, notebook, values)
        self._record = {
            "format": manifest.FORMAT,
            **names,
            "key": parts["key"],
            "parts": {name: value for name, value in parts.items() if name != "key"},
            "params": plain(values),
        }
        self._locks.append(locks.acquire(store.kernel_lock(self.folder), str(self._shown), wait=5))
        aside = ""
        if not self._instructions:
            aside = store.open_folder(self.folder)
            self._record_before, _ = store.examine(self.folder)
            store.link(self._shown, self.folder)
            self._cells = interactive.Cells(self._notebook, namespace, self._mark)
        if self._record_before is None:
            for name in (manifest.RESULTS, manifest.FAILED_NOTEBOOK):
                (self.folder / name).unlink(missing_ok=True)
            save_json(self.folder / manifest.PARAMS, self._record)
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        title = f"{names['paper']}/{names['experiment']} {names['stage']}"
        self._write_log(f"---- {now} {title}, key {parts['key'][:8]}\n")
        if aside:
            self.log(aside)

    def _begin_driven(self, paper, notebook, values):
        """(parts, names) that the runner gave, which holds the key's lock. Raises StageError."""
        given = self._instructions
        wrong = [name for name, value in plain(values).items() if given["values"].get(name) != value]
        if wrong:
            raise StageError(
                f"{', '.join(wrong)}: assigned between the parameters cell and Stage.begin; take that out"
            )
        self.folder, self._shown = Path(given["folder"]), Path(given["shown"])
        self._upstream = {name: self.folder.with_name(key) for name, key in given["parts"]["upstream"].items()}
        return given["parts"], {name: given[name] for name in ("paper", "experiment", "stage")}

    def _begin_interactive(self, paper, notebook, values):
        """(parts, names) by the run folder, and the key's lock. Raises FileError, LockedError or BadName."""
        run_folder, experiment = interactive.experiment_of(values.get("run_dir", ""), self.root, paper)
        name = paths.stage_folder_name(paths.check_name("stage", notebook), values.get("round", 1))
        if values.get("data_root") and experiments.is_builtin(self.root, values["data_root"]):
            experiments.ensure(self.root, print, values["data_root"])
        needs = interactive.needs(self.root, paper, experiment, self._notebook, name)
        self._upstream = {need: (run_folder / need).resolve() for need in needs}
        data_root = self.data_root if values.get("data_root") else None
        memory = store.folder_of(run_folder, paper, contents.FOLDER)
        parts = interactive.parts(self._notebook, values, self._upstream, self.root, data_root, memory)
        self.folder, self._shown = store.folder_of(run_folder, paper, parts["key"]), run_folder / name
        self._locks.append(locks.acquire(store.run_lock(self.folder), str(self._shown), wait=5, note=interactive.NOTE))
        return parts, {"paper": paper, "experiment": experiment, "stage": name}

    def _mark(self):
        """Work of other cells than the notebook's is not continued; a finished stage has its manifest to tell."""
        if self._record_before is None:
            (self.folder / store.CHANGED).touch()

    def _close(self):
        for lock in self._locks:
            lock.close()
        if self._cells is not None:
            self._cells.close()

    @property
    def needs(self) -> tuple:
        """Names of the earlier stages of this experiment that this one may read, rounds written out ("06_train@2")."""
        return tuple(self._upstream)

    @property
    def data_root(self) -> Path:
        """The data set's folder; relative ones lie below the project."""
        return self.root / Path(self.params.data_root).expanduser()

    @property
    def device(self) -> str:
        """ "cpu", "cuda" or "cuda:N"; "auto" takes a GPU if there is one. Raises StageError if the one asked
        for is not there.
        """
        import torch

        wanted = getattr(self.params, "device", "auto")
        if wanted == "auto":
            # unlike is_available this leaves the driver alone, which does not survive a fork (distributed.launch)
            return "cuda" if torch.cuda.device_count() else "cpu"
        kind, _, number = wanted.partition(":")
        if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
            raise StageError(f"device {wanted!r}: use auto, cpu, cuda or cuda:N")
        if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
            raise StageError(
                f"device {wanted!r}: this machine or this build of torch has no such GPU; use auto or cpu"
            )
        return wanted

    def upstream_name(self, name: str) -> str:
        """Name of an earlier stage that this one needs, its round written out ("06_train@2"). Raises StageError."""
        stage = experiments.find_stage(name, self._upstream)
        if stage is None:
            raise StageError(
                f"{name} is not among what {self._notebook.path.name} needs ({', '.join(self.needs) or 'nothing'}); "
                f"add it to the notebook's metadata wsnb.needs and list it before this stage"
            )
        return stage

    def upstream(self, name: str) -> Path:
        """Folder of a finished earlier stage that this one needs, its files as they were recorded. Raises StageError
        naming the remedy."""
        stage = self.upstream_name(name)
        folder = self._upstream[stage]
        if folder not in self._sound:
            self._need_sound(stage, folder)
            self._sound.add(folder)
        return folder

    def _need_sound(self, stage, folder):
        again = f"run `wsnb run {self._record['paper']}/{self._record['experiment']} --until {stage}`"
        if (folder / manifest.NAME).is_file():
            _, faults = store.examine(folder)
            if faults:
                raise StageError(f"{self._shown.with_name(stage)} is damaged: {'; '.join(faults[:3])}; {again} first")
        elif self._instructions or not (folder / manifest.RESULTS).is_file():
            raise StageError(f"{self._shown.with_name(stage)} is not finished; {again} or that notebook first")
        else:
            self.log(f"{stage} was run with changed cells: fine for a look, but this stage will not count as done")

    def upstream_params(self, name: str) -> SimpleNamespace:
        """The parameters of a finished earlier stage. Raises StageError as `upstream` does."""
        return SimpleNamespace(**load_json(self.upstream(name) / manifest.PARAMS)["params"])

    def log(self, text) -> None:
        """Write a line with the time of day to log.txt and to the cell's output. A stage's lines, and what an error
        says, are cut as a cell's printing is."""
        text = self._log_room.keep(printable(str(text)))
        if not text:
            return
        stamped = f"{datetime.datetime.now():%H:%M:%S} " + text.replace("\n", "\n" + " " * 9)
        self._write_log(stamped + "\n")
        sys.stdout.write(stamped + "\n")
        sys.stdout.flush()

    def _write_log(self, text):
        with open(self.folder / manifest.LOG, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)

    def progress(self, iterable, total: int | None = None, what: str = "images"):
        """Yield the items of ITERABLE and log how far it is, every 5 s and at the end."""
        total = len(iterable) if total is None and hasattr(iterable, "__len__") else total
        start = last = time.monotonic()
        done = 0
        for item in iterable:
            yield item
            done += 1
            now = time.monotonic()
            if now - last >= 5 and done != total:
                last, pace = now, (now - start) / done
                rest = "" if total is None else f", {_duration(pace * (total - done))} to go"
                self.log(f"{done}{'' if total is None else f'/{total}'} {what}{rest}")
        if time.monotonic() - last >= 1:
            self.log(f"{done} {what} in {_duration(time.monotonic() - start)}")

    def finish(self, results=(), protocol=None, notes=None) -> None:
        """Write results.json, the last file of the stage.

        RESULTS: mappings with "name", "value", "unit", optionally "detail", an own "protocol" (PROTOCOL serves
        for the others), and "role": "final" (what the chain is for), "ladder" (the quality of a product on the
        way, named by "step") or "bound"; "counts" and "measure" of single pictures, see wsnb.metrics.counts, go into
        counts.npz. Without the runner, the manifest too if the notebook ran unchanged; a stage
        that was finished before keeps its record while its files match. Raises StageError.
        """
        from wsnb.metrics import counts  # loads NumPy, which the command does without

        listed = []
        for result in counts.kept(self.folder, results):
            missing = {"name", "value", "unit"} - set(result)
            if missing:
                raise StageError(f"result {result!r}: lacks {', '.join(sorted(missing))}")
            if result.get("role", "final") not in manifest.ROLES:
                raise StageError(f"result {result['name']}: role {result['role']!r}; use {', '.join(manifest.ROLES)}")
            listed.append(plain({"protocol": protocol, "detail": {}, **result}))
        cpu, gpu = manifest.peak_memory()
        seed = getattr(self.params, "seed", None)
        started = datetime.datetime.fromtimestamp(self._began).astimezone().isoformat(timespec="seconds")
        record = {
            **self._record,
            "results": listed,
            "notes": plain(notes or {}),
            "seed": seed,
            "started": started,
            "seconds": round(time.time() - self._began, 2),
            "peak_cpu_bytes": cpu,
            "peak_gpu_bytes": gpu,
            "environment": manifest.environment(self.root),
        }
        for result in listed:
            number = result["value"]
            short = "" if number is None else f"{number:.4g}" if abs(number) < 1000 else f"{number:.0f}"
            value = short or "undefined"
            self.log(f"{manifest.title(result)} = {value} {result['unit']}".rstrip())
        if self._instructions:
            save_json(self.folder / manifest.RESULTS, record)
        else:
            self._finish_interactive(record)
        self.log(f"results are in {self._shown / manifest.RESULTS}")
        self._close()

    def _finish_interactive(self, record):
        doubts = [] if self._cells.is_whole() else ["its cells were changed or not run one after the other"]
        doubts += interactive.code_doubts(self._notebook, record["parts"])
        if doubts:
            self._mark()
            self.log(
                f"not counted as done, for {'; '.join(doubts)}; `wsnb run` or Run all in a new kernel begins it anew"
            )
        before = self._record_before
        if before is not None and (doubts or not manifest.problems(self.folder, before)):
            return
        (self.folder / manifest.NAME).unlink(missing_ok=True)
        save_json(self.folder / manifest.RESULTS, record)
        if not doubts:
            manifest.write(self.folder, {**record, "by": "interactive"})


def _values(declared, namespace, where) -> dict:
    """The declared parameters' values, checked, and put back where an int stood for a float."""
    missing = [name for name in declared if name not in namespace]
    if missing:
        raise StageError(f"{where}: {', '.join(missing)} not set; run the parameters cell before Stage.begin")
    values = {
        name: params.check(param, namespace[name], str(where)) for name, param in declared.items()
    }
    namespace.update(values)
    return values


def _with_files(notebook, values, project) -> dict:
    """Values with the names of existing files made absolute, so that they hold in any working folder."""
    found = {
        name: params.existing_file(name, param.type, values[name], project)
        for name, param in params.declared(notebook).items()
    }
    return {
        name: value if found[name] is None else params.with_file(name, value, found[name])
        for name, value in values.items()
    }


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
