"""The kernel's side of being driven by the runner: what it was told, and dying with it.

Stages run by hand (JupyterLab, plain papermill): which stage this is, and whether the notebook was run as
it stands.

Such a run counts as done only if exactly the notebook's cells ran, in order, with the code that now lies on
disk.

Stage: what a notebook holds on to while it runs. Alike under the runner, plain papermill and JupyterLab.
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

from wsnb.files import load_json
from wsnb.run import experiments, fingerprint, kernel, locks, manifest, notebooks, params, paths, store
from wsnb.run.manifest import plain
from wsnb.run.notebooks import Notebook

KEY = "WSNB_STAGE_KEY"
INSTRUCTIONS = "WSNB_STAGE"
PR_SET_PDEATHSIG = 1


def environment(key: str, told: dict) -> dict:
    """Environment variables by which the runner tells a kernel about its stage."""
    return {KEY: key, INSTRUCTIONS: json.dumps(told)}


def instructions(paper: str, notebook: str) -> dict | None:
    """What the runner told this kernel: {"key", "root", "paper", "experiment", "stage", "notebook", "values",
    "needs", "parts"}; None in a kernel that nobody drives, or that was started by a driven one for something
    else.
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


INTERACTIVE = "(a notebook run by hand)"
IMPORTED = time.time()  # in the kernel: about when the notebook's second cell ran


def interactive_needs(project, paper: str, experiment: str, notebook: Notebook, stage: str) -> tuple:
    """What a stage needs, by the experiment that its run folder is named after; without one, by the paper's
    notebooks.
    """
    path = Path(project, "params", paper, f"{experiment}.yaml")
    stages = experiments.stage_names(params.load_yaml(path), path) if path.is_file() else []
    if stage not in stages:
        stages = sorted(file.stem for file in Path(project, "notebooks", paper).glob("[0-9]*.ipynb"))
        if stage not in stages:
            stages = sorted([*stages, stage])
    return experiments.needed(notebook, stage, stages)


def upstream_keys(run_folder, names) -> dict:
    """{stage: key} of earlier stages as they lie on disk; a stage without manifest has a key that no runner
    wants.
    """
    found = {}
    for name in names:
        record = manifest.read(Path(run_folder, name))
        results = Path(run_folder, name, manifest.RESULTS)
        if record is not None:
            found[name] = record["key"]
        elif results.is_file():
            found[name] = f"not counted as done: {load_json(results)['key']}"
        else:
            found[name] = "missing"
    return found


def history(namespace: dict) -> list:
    """Texts of the cells that ran in a kernel, oldest first, as typed; empty outside IPython."""
    shell = namespace["get_ipython"]() if "get_ipython" in namespace else None
    return list(shell.history_manager.input_hist_raw) if shell is not None else []


def interactive_doubts(notebook: Notebook, parts: dict, history: list) -> list:
    """Why a run by hand does not count as done, in words; empty if it does.

    HISTORY holds the texts of the cells that the kernel ran, oldest first. Looked at are the cells from the
    one that calls Stage.begin to the one that calls finish.
    """
    found = [
        f"stage {name} is {key.split(':')[0]}" for name, key in parts["upstream"].items() if len(key) != 64
    ]
    wanted = [_meaning(cell.source) for cell in notebook.cells]
    begin = next((i for i, cell in enumerate(notebook.cells) if "Stage.begin(" in cell.source), 0)
    finish = next((i for i, cell in enumerate(notebook.cells) if ".finish(" in cell.source), len(wanted) - 1)
    run = [_meaning(text) for text in history if text.strip()]
    begins = [i for i, text in enumerate(run) if text == wanted[begin]]
    expected = [text for text in wanted[begin : finish + 1] if text]
    if not begins or [text for text in run[begins[-1] :] if text] != expected:
        found.append("its cells were changed or not run one after the other")
    if fingerprint.digest(fingerprint.reached(notebook)) != parts["code"]:
        found.append("code was edited meanwhile")
    for name in parts["modules"]:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file and Path(file).stat().st_mtime > IMPORTED:
            found.append(f"{name} was edited after this kernel loaded it")
    return found


def _meaning(source: str) -> str:
    """A cell's text as far as it does anything; its text itself if it does not parse."""
    try:
        tree = fingerprint.parse(source, "cell", is_file=False)
    except ValueError:
        return source.strip()
    return fingerprint.text_of(tree) if tree.body else ""


def experiment_of(run_dir: str, project, paper: str) -> tuple[Path, str]:
    """(folder, name) of the experiment that a run_dir stands for; empty means runs/PAPER/by_hand.

    Relative ones stay below the project. Raises FileError or BadName.
    """
    if Path(run_dir).is_absolute():
        folder = Path(run_dir).resolve()
    else:
        folder = paths.inside(project, run_dir or f"runs/{paper}/by_hand")
    return folder, paths.check_name("experiment (last part of run_dir)", folder.name)


class StageError(RuntimeError):
    """A stage that cannot begin, go on or finish; the message says why and names the mend."""


class Stage:
    """One run of one stage.

    params  SimpleNamespace of all declared parameters
    folder  Path of its run folder, where all its files go
    root    Path of the project
    """

    @classmethod
    def begin(cls, paper: str, notebook: str, namespace: dict) -> "Stage":
        """Begin the stage of notebooks/PAPER/NOTEBOOK.ipynb with the parameters in NAMESPACE, the notebook's
        globals().

        Waits at most 5 s for the folder's lock. Raises StageError, ParamsError, FileError or LockedError.
        """
        for value in list(namespace.values()):
            if isinstance(value, cls):  # the cell was run again: let go of the lock of the former time
                value._lock.close()
        self = cls()
        told = instructions(paper, notebook)
        if told:
            die_with_parent()
            kernel.cap_streams(namespace)
        self.root = Path(told["root"]) if told else paths.find()
        self._notebook = notebooks.read(
            self.root / "notebooks" / paths.check_name("paper", paper) / f"{notebook}.ipynb"
        )
        values = _values(params.declared(self._notebook), namespace, self._notebook.path)
        run_folder, experiment = experiment_of(values.get("run_dir", ""), self.root, paper)
        name = paths.stage_folder_name(paths.check_name("stage", notebook), values.get("round", 1))
        self.folder = run_folder / name
        self._told, self._namespace, self._began = told, namespace, time.time()
        self._lock = locks.acquire(
            run_folder / f".{name}.lock", str(self.folder), wait=5, note="" if told else INTERACTIVE
        )
        if not told and values.get("data_root") and experiments.is_builtin(self.root, values["data_root"]):
            experiments.ensure(self.root, print, values["data_root"])
        self._needs, parts = (
            (tuple(told["needs"]), told["parts"])
            if told
            else self._own_parts(paper, experiment, name, values)
        )
        if told and plain(values) != told["values"]:
            wrong = [key for key, value in plain(values).items() if told["values"].get(key) != value]
            raise StageError(
                f"{', '.join(wrong)}: assigned between the parameters cell and Stage.begin; take that out"
            )
        self._record = {
            "format": manifest.FORMAT,
            "paper": paper,
            "experiment": experiment,
            "stage": name,
            "key": parts["key"],
            "parts": {k: v for k, v in parts.items() if k != "key"},
            "params": plain(values),
        }
        moved = store.prepare(self.folder, parts["key"])
        store.reopen(self.folder, self._record)
        self.params = SimpleNamespace(**_with_files(self._notebook, values, self.root))
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        self._write_log(f"---- {now} {paper}/{experiment} {name}, key {parts['key'][:8]}\n")
        if moved:
            self.log(moved)
        return self

    def _own_parts(self, paper, experiment, name, values):
        """(needs, parts) of a stage that nobody told them."""
        needs = interactive_needs(self.root, paper, experiment, self._notebook, name)
        data = fingerprint.data_fingerprint(self._data_root(values)) if values.get("data_root") else None
        upstream = upstream_keys(self.folder.parent, needs)
        return needs, fingerprint.stage_parts(
            self._notebook, params.declared(self._notebook), values, upstream, self.root, data
        )

    def _data_root(self, values):
        return self.root / Path(values["data_root"]).expanduser()

    @property
    def needs(self) -> tuple:
        """Names of the earlier stages of this experiment that this one may read, rounds written out ("06_train@2")."""
        return tuple(self._needs)

    @property
    def data_root(self) -> Path:
        """The data set's folder; relative ones lie below the project."""
        return self._data_root(vars(self.params))

    @property
    def device(self) -> str:
        """ "cpu", "cuda" or "cuda:N"; "auto" takes a GPU if there is one. Raises StageError if the one asked
        for is not there.
        """
        import torch

        wanted = getattr(self.params, "device", "auto")
        if wanted == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        kind, _, number = wanted.partition(":")
        if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
            raise StageError(f"device {wanted!r}: use auto, cpu, cuda or cuda:N")
        if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
            raise StageError(
                f"device {wanted!r}: this machine or this build of torch has no such GPU; use auto or cpu"
            )
        return wanted

    def upstream(self, name: str) -> Path:
        """Folder of a finished earlier stage that this one needs. Raises StageError naming the mend."""
        stage = experiments.find_stage(name, self._needs)
        if stage is None:
            raise StageError(
                f"{name} is not among what {self._notebook.path.name} needs ({', '.join(self._needs) or 'nothing'}); "
                f"add it to the notebook's metadata wsnb.needs and list it before this stage"
            )
        place = self.folder.parent / stage
        if not (place / manifest.NAME).is_file():
            experiment = f"{self._record['paper']}/{self._record['experiment']}"
            if self._told or not (place / manifest.RESULTS).is_file():
                raise StageError(
                    f"{place} is not finished; run `wsnb run {experiment} --until {stage}` or that notebook first"
                )
            self.log(
                f"{stage} was run by hand with changes: fine for looking, but this stage will not count as done"
            )
        return place

    def upstream_params(self, name: str) -> SimpleNamespace:
        """The parameters of a finished earlier stage. Raises StageError as `upstream` does."""
        return SimpleNamespace(**load_json(self.upstream(name) / manifest.PARAMS)["params"])

    def log(self, text) -> None:
        """Write a line with the time of day to log.txt and to the cell's output."""
        stamped = f"{datetime.datetime.now():%H:%M:%S} " + str(text).replace("\n", "\n" + " " * 9)
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
        way, named by "step") or "bound". Without the runner, the manifest too if the notebook ran as it stands.
        Raises StageError.
        """
        listed = []
        for result in results:
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
        manifest.save_json(self.folder / manifest.RESULTS, record)
        for result in listed:
            number = result["value"]
            short = "" if number is None else f"{number:.4g}" if abs(number) < 1000 else f"{number:.0f}"
            value = short or "undefined"
            self.log(f"{manifest.title(result)} = {value} {result['unit']}".rstrip())
        self.log(f"results are in {self.folder / manifest.RESULTS}")
        if not self._told:
            self._finish_by_hand(record)
        self._lock.close()

    def _finish_by_hand(self, record):
        doubts = interactive_doubts(self._notebook, record["parts"], history(self._namespace))
        if doubts:
            self.log(
                f"not counted as done, for {'; '.join(doubts)}; `wsnb run` or a fresh Run all takes it from here"
            )
        else:
            manifest.write(self.folder, {**record, "by": "hand"})


def _values(declared, namespace, where) -> dict:
    """The declared parameters' values, checked, and put back where an int stood for a float."""
    missing = [name for name in declared if name not in namespace]
    if missing:
        raise StageError(f"{where}: {', '.join(missing)} not set; run the parameters cell before Stage.begin")
    values = {
        name: params.check(name, param.type, namespace[name], str(where)) for name, param in declared.items()
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
