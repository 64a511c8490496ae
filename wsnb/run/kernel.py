"""Kernels as processes: sockets in a private folder, a manager of this Python's kernel, how one ended.

How much of a cell's output is kept, so that neither the runner's memory nor the notebook grows without
bound.

papermill's engine, made to notice what it misses: dead kernels, cells left over, floods of output,
interrupts.
"""

import logging
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from wsnb.run import locks


def private_folder() -> tuple[Path, locks.Lock]:
    """A new folder of this process for sockets, with a short path (a socket's may have 107 bytes), and its
    lock.

    Folders of processes that were killed are cleared away first: nobody holds their lock any more.
    """
    base = Path(tempfile.gettempdir())
    if len(str(base)) > 60:
        base = Path("/tmp")
    prefix = f"wsnb-{os.getuid()}-"
    for stale in base.glob(f"{prefix}*"):
        try:
            if time.time() - stale.stat().st_mtime < 60:
                continue  # it may just have been made, and not locked yet
            locks.acquire(stale / "lock", str(stale)).close()
        except (locks.LockedError, OSError):
            continue
        shutil.rmtree(stale, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
    return folder, locks.acquire(folder / "lock", str(folder))


def kernel_manager(folder: Path, number: int):
    """Manager of a kernel of *this* Python that talks over sockets in FOLDER; no port can be taken by
    somebody else.
    """
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpec

    from wsnb.run import kernel_forkserver

    manager = AsyncKernelManager(transport="ipc", connection_file=str(folder / f"k{number}.json"))
    manager.context.rcvhwm = 0  # messages: a runner that is held up for a while loses none
    manager._kernel_spec = KernelSpec(
        argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        display_name="Python 3",
        language="python",
        metadata=kernel_forkserver.metadata(),
    )
    return manager


def kill_group(pid):
    """Kill a kernel with all processes of its group; one that is gone already is fine."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # it is gone already


def cause(exit_code) -> str:
    """An exit code in words; None is an unknown one."""
    if exit_code is None:
        return "kernel died"
    if exit_code < 0:
        name = (
            signal.Signals(-exit_code).name if -exit_code in set(signal.Signals) else f"signal {-exit_code}"
        )
        hint = "; perhaps out of memory" if exit_code == -signal.SIGKILL else ""
        return f"kernel died ({name}{hint})"
    return f"kernel died (exit code {exit_code})"


STAMP = re.compile(r"\d\d:\d\d:\d\d ")  # how a line of Stage.log begins
TEXT = 5_000_000  # characters of printed text of one cell
ALL = 50_000_000  # characters of everything, pictures included


class Capped:
    """Counts one cell's output and cuts what goes beyond, once saying so."""

    def __init__(self, text: int = TEXT, everything: int = ALL):
        self._text, self._all = text, everything
        self._cut = set()

    def take(self, message: dict) -> dict | None:
        """MESSAGE of the kernel, shortened if it no longer fits, or None if nothing of it is kept."""
        if message["msg_type"] == "error":
            return message  # the reason of a failure is always kept
        if message["msg_type"] == "stream":
            return self._take_text(message)
        size = sum(len(str(part)) for part in message["content"].get("data", {}).values())
        if size > self._all:
            return self._once(
                message,
                "all",
                f"[an output of {size / 1e6:.0f} MB is not kept: a cell may hold {ALL // 10**6} MB]",
            )
        self._all -= size
        return message

    def _take_text(self, message):
        text = message["content"]["text"]
        room, self._text = self._text, self._text - len(text)
        if len(text) <= room:
            return message
        kept = text[: max(room, 0)]
        note = f"{kept}\n[output cut here: a cell may print {TEXT // 10**6} MB]\n"
        return self._once(message, "text", note)

    def _once(self, message, kind, note):
        if kind in self._cut:
            return None
        self._cut.add(kind)
        content = {"name": "stdout", "text": note}
        return {
            **message,
            "msg_type": "stream",
            "header": {**message["header"], "msg_type": "stream"},
            "content": content,
        }


def text_of(message: dict) -> str:
    """Text of a stream message."""
    return message["content"]["text"]


def cap_streams(namespace: dict) -> None:
    """In a kernel: stop a cell's printing at its source, so that a flood never crosses to the runner.

    Lines of Stage.log pass. Counts from the next cell on, and anew in each. NAMESPACE is the notebook's
    globals(); outside IPython, and where it was called before, nothing happens.
    """
    if "get_ipython" not in namespace:
        return
    events = namespace["get_ipython"]().events
    if _cap_both not in events.callbacks["pre_run_cell"]:
        events.register("pre_run_cell", _cap_both)


def _cap_both(*_):
    for stream in (sys.stdout, sys.stderr):
        write = (
            stream.write
        )  # IPython puts its own in place for each cell, and takes it away with ours afterwards
        stream.write = _capped(getattr(write, "uncapped", write))


def _capped(write):
    room = TEXT

    def capped(text):
        nonlocal room
        before, room = room, room - len(text)
        if room >= 0 or STAMP.match(text):
            write(text)
        elif before >= 0:  # one character too many: the runner counts too, and says so in the notebook
            write(text[: before + 1])
        return len(text)

    capped.uncapped = write
    return capped


STAMPED = re.compile(r"\d\d:\d\d:\d\d .*")  # a line of Stage.log
STAMPED_LINE = re.compile(rf"^{STAMPED.pattern}$", re.MULTILINE)
CONTINUED = " " * 9  # how further lines of the same text begin
STARTS = 3
LOGGER = logging.getLogger("wsnb.engine")
LOGGER.addHandler(logging.NullHandler())
LOGGER.propagate = False


class KernelDied(RuntimeError):
    """The notebook's process ended by itself; the message says by which signal or exit code."""


class Unfinished(RuntimeError):
    """The notebook stopped before its last cell without an error."""


class Driver:
    """What happens around one notebook: the interrupt's way into the kernel, log lines' way out.

    SAY is called with each line that the stage logs; ENVIRONMENT holds the kernel's extra variables.
    """

    def __init__(self, say, environment: dict, interrupts):
        self.say, self.environment, self.interrupts = say, environment, interrupts
        self.notebook = None  # the executed notebook, also after a failure
        self._rest, self._inside = "", False

    def forward(self, text: str) -> None:
        """Take a piece of the kernel's output and say the log lines that it completes."""
        if len(text) < 100_000:
            *lines, self._rest = (self._rest + text).split("\n")
        else:  # a flood is looked through without copying it
            lines, self._rest = (match[0] for match in STAMPED_LINE.finditer(text)), ""
        self._rest = self._rest[-10_000:]
        for line in lines:
            self._inside = bool(STAMPED.fullmatch(line)) or (self._inside and line.startswith(CONTINUED))
            if self._inside:
                self.say(line)


def import_papermill():
    """papermill, without the grammar of web addresses that its notebook validator compiles for 2 s and never
    uses.
    """
    spared = "rfc3987_syntax" not in sys.modules
    if spared:
        sys.modules["rfc3987_syntax"] = None  # reads as "not installed", which the validator allows
    try:
        import papermill
    finally:
        if spared:
            del sys.modules["rfc3987_syntax"]
    return papermill


def make_engine():
    """The engine class; made on demand because papermill takes a second to import."""
    import_papermill()
    from nbclient.exceptions import CellExecutionError, DeadKernelError
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NBClientEngine

    class Client(PapermillNotebookClient):
        driver = None
        exit_code = None
        started = None  # whether the kernel is inside the present cell, so that an interrupt reaches it
        capped = None

        async def _async_check_alive(self):
            try:
                await super()._async_check_alive()
            except DeadKernelError:
                self.exit_code = await self.km.provisioner.poll()
                raise

        def execute(self):
            self.reset_execution_trackers()
            try:
                self._start()
                self.driver.interrupts.kernel = self._interrupt
                self.papermill_execute_cells()
                self.set_widgets_metadata()
            finally:
                self.driver.interrupts.kernel = None
                pid = getattr(self.km and self.km.provisioner, "pid", None)
                if self.kc is not None:
                    self._cleanup_kernel()
                if pid:
                    kill_group(pid)  # workers that outlived their kernel
            return self.nb

        def _start(self):
            folder = Path(self.km.connection_file).parent
            for number in range(STARTS):
                environment = {**os.environ, **self.driver.environment, "IPYTHONDIR": str(folder / "ipython")}
                try:
                    self.start_new_kernel(env=environment)
                    self.start_new_kernel_client()
                    return
                except (RuntimeError, OSError, TimeoutError) as error:
                    LOGGER.warning("start %d of the kernel failed: %s", number + 1, error)
                    if number == STARTS - 1 or self.driver.interrupts.asked:
                        raise KernelDied(
                            f"the kernel did not start in {number + 1} tries: {error}"
                        ) from error
                    self.km, self.kc = kernel_manager(folder, number + 1), None

        def _interrupt(self, kill=False):
            """Called from the signal handler. A kernel between two cells ignores SIGINT, so one is sent
            inside only.
            """
            pid = self.km.provisioner.pid
            if kill:
                kill_group(pid)
            elif self.started:
                os.kill(pid, signal.SIGINT)  # only the kernel: its workers are its own to stop

        def papermill_execute_cells(self):
            for index, cell in enumerate(self.nb.cells):
                if self.driver.interrupts.asked:
                    return
                self.started, self.capped = False, Capped()
                try:
                    self.nb_man.cell_start(cell, index)
                    self.execute_cell(cell, index)
                except CellExecutionError as error:
                    self.nb_man.cell_exception(cell, cell_index=index, exception=error)
                    return
                except DeadKernelError as error:
                    self.nb_man.cell_exception(cell, cell_index=index, exception=error)
                    raise KernelDied(cause(self.exit_code)) from error
                finally:
                    self.started = False
                    self.nb_man.cell_complete(cell, cell_index=index)

        def process_message(self, message, cell, cell_index):
            kind = message["msg_type"]
            if kind == "execute_input" and not self.started:
                self.started = True
                if self.driver.interrupts.asked:  # it came while the cell was on its way
                    self._interrupt()
            if kind == "stream" and message["content"]["name"] == "stdout":
                self.driver.forward(message["content"]["text"])
            if kind in ("stream", "display_data", "execute_result", "update_display_data", "error"):
                message = self.capped.take(message)
                if message is None:
                    return None
            return super().process_message(message, cell, cell_index)

        def output(self, outs, msg, display_id, cell_index):
            last = outs[-1] if outs else None
            hooked = self.output_hook_stack[msg["parent_header"].get("msg_id")]
            if (
                msg["msg_type"] == "stream"
                and last is not None
                and last["output_type"] == "stream"
                and not hooked
                and last["name"] == msg["content"]["name"]
                and not self.clear_before_next_output
            ):
                last["text"] += text_of(msg)  # one output a stream instead of one a message
                return last
            return super().output(outs, msg, display_id, cell_index)

    class Engine(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, driver=None, start_timeout=60, **_):
            driver.notebook = nb_man.nb
            folder, lock = private_folder()
            try:
                with lock:
                    client = Client(
                        nb_man,
                        km=kernel_manager(folder, 0),
                        raise_on_iopub_timeout=False,
                        iopub_timeout=30,
                        startup_timeout=start_timeout,
                        kernel_name="python3",
                        log=LOGGER,
                    )
                    client.extra_arguments = ["--HistoryManager.hist_file=:memory:"]
                    client.driver = driver
                    client.execute()
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    return Engine


def execute(notebook, parameters: dict, driver: Driver, start_timeout: int = 60):
    """Run a notebook file in a fresh kernel with PARAMETERS injected; the executed one is then
    driver.notebook.

    Raises papermill's PapermillExecutionError if a cell fails, KernelDied, Unfinished, or KeyboardInterrupt if
    it was asked to stop.
    """
    papermill = import_papermill()
    from papermill.engines import papermill_engines

    papermill_engines.register("wsnb", make_engine())
    path = str(notebook).replace("{", "{{").replace("}", "}}")  # papermill reads paths as format strings
    interrupts = driver.interrupts
    try:
        papermill.execute_notebook(
            path,
            None,
            parameters,
            engine_name="wsnb",
            kernel_name="python3",
            language="python",
            progress_bar=False,
            autosave_cell_every=0,
            start_timeout=start_timeout,
            cwd=str(Path(notebook).parent),
            driver=driver,
        )
    except (papermill.PapermillExecutionError, KernelDied):
        if interrupts.asked:
            raise KeyboardInterrupt from None
        raise
    left = [
        cell
        for cell in driver.notebook.cells
        if cell.cell_type == "code"
        and cell.source.strip()
        and (cell.execution_count is None or cell.metadata.get("papermill", {}).get("exception"))
        and "skip-execution" not in cell.metadata.get("tags", [])
    ]
    if left and interrupts.asked:
        raise KeyboardInterrupt
    if left:
        raise Unfinished(
            f"stopped before its end: {len(left)} code cells did not finish, the first begins "
            f"{left[0].source.strip().splitlines()[0][:60]!r}; take out sys.exit() or exit()"
        )
