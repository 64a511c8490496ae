"""Stage: what a notebook holds on to while it runs. Alike under the runner, plain papermill and JupyterLab."""

import datetime
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from wsnb.book import builtin, byhand, driven, experiments, folder, keys, locks, manifest, output, params, root
from wsnb.book import notebook as notebooks
from wsnb.book.byhand import BY_HAND
from wsnb.book.manifest import plain
from wsnb.files import load_json


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
        told = driven.told(paper, notebook)
        if told:
            driven.die_with_parent()
            output.cap_streams(namespace)
        self.root = Path(told["root"]) if told else root.find()
        self._notebook = notebooks.read(
            self.root / "notebooks" / root.check_name("paper", paper) / f"{notebook}.ipynb"
        )
        values = _values(params.declared(self._notebook), namespace, self._notebook.path)
        run_folder, experiment = byhand.experiment_of(values.get("run_dir", ""), self.root, paper)
        name = root.stage_folder_name(root.check_name("stage", notebook), values.get("round", 1))
        self.folder = run_folder / name
        self._told, self._namespace, self._began = told, namespace, time.time()
        self._lock = locks.acquire(
            run_folder / f".{name}.lock", str(self.folder), wait=5, note="" if told else BY_HAND
        )
        if not told and values.get("data_root") and builtin.is_builtin(self.root, values["data_root"]):
            builtin.ensure(self.root, print, values["data_root"])
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
        moved = folder.prepare(self.folder, parts["key"])
        folder.reopen(self.folder, self._record)
        self.params = SimpleNamespace(**_with_files(self._notebook, values, self.root))
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        self._write_log(f"---- {now} {paper}/{experiment} {name}, key {parts['key'][:8]}\n")
        if moved:
            self.log(moved)
        return self

    def _own_parts(self, paper, experiment, name, values):
        """(needs, parts) of a stage that nobody told them."""
        needs = byhand.needs(self.root, paper, experiment, self._notebook, name)
        data = keys.data_fingerprint(self._data_root(values)) if values.get("data_root") else None
        upstream = byhand.upstream_keys(self.folder.parent, needs)
        return needs, keys.stage_parts(
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
        doubts = byhand.doubts(self._notebook, record["parts"], byhand.history(self._namespace))
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
