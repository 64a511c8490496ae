"""Run one notebook in a fresh kernel: papermill puts the parameters in, nbclient executes the cells.

What both miss is noticed here: how a kernel died, cells left over after sys.exit(0), floods of output, interrupts.
"""

import atexit
import contextlib
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from papermill.execute import raise_for_execution_errors
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from wsnb.run import kernel_forkserver, locks
from wsnb.run.output_limits import KernelDied, OutputLimit, Unfinished

STARTS = 3  # tries to start a kernel
OUTPUTS = ("stream", "display_data", "execute_result", "update_display_data", "error")
LOGGER = logging.getLogger("wsnb.kernel")
LOGGER.addHandler(logging.NullHandler())
LOGGER.propagate = False


class _Interrupted(Exception):
    """No further cell begins."""


def load(path, parameters: dict):
    """The notebook at PATH as an nbformat node, with PARAMETERS in a cell after the one tagged `parameters`."""
    notebook = load_notebook_node(str(path))
    return parameterize_notebook(notebook, parameters, kernel_name="python3", language="python")


def execute(notebook, folder, environment: dict, interrupts) -> None:
    """Execute NOTEBOOK in place, in a kernel with the variables ENVIRONMENT whose working folder is FOLDER.

    Raises PapermillExecutionError if a cell fails, KernelDied, Unfinished, or KeyboardInterrupt if INTERRUPTS asked to
    stop.
    """
    with _sockets_folder() as sockets:
        environment = {**environment, "IPYTHONDIR": str(sockets / "ipython")}
        for number in range(1, STARTS + 1):
            client = _Client(notebook, sockets / f"k{number}.json", interrupts)
            try:
                with interrupts.immediate():  # its libraries may take a while
                    kernel_forkserver.ready(environment)
                with client:
                    client.execute(env=environment, cwd=str(folder))
            except (_Interrupted, CellExecutionError):
                if interrupts.asked:
                    raise KeyboardInterrupt from None
                raise_for_execution_errors(notebook, None)
                raise Unfinished(_left(notebook.cells[client.cell :])) from None
            except (RuntimeError, OSError, TimeoutError) as error:
                if interrupts.asked:
                    raise KeyboardInterrupt from None
                if isinstance(error, DeadKernelError):
                    raise KernelDied(cause(client.process.poll())) from error
                if client.process is not None:
                    raise
                LOGGER.warning("start %d of the kernel failed: %s", number, error)
                if number == STARTS:
                    raise KernelDied(f"the kernel did not start in {number} tries: {error}") from error
            else:
                raise_for_execution_errors(notebook, None)
                return


class _Client(NotebookClient):
    """nbclient's, with a kernel forked by kernel_forkserver. Inside `with`, INTERRUPTS can reach the kernel."""

    def __init__(self, notebook, connection_file: Path, interrupts):
        super().__init__(
            notebook, kernel_name=_Specs.NAME, iopub_timeout=30, log=LOGGER, on_notebook_start=self._notebook_starts,
            on_cell_execute=self._cell_starts, on_cell_executed=self._cell_ended,
        )
        self.connection_file, self.interrupts = connection_file, interrupts
        self.process = None  # the kernel's, from its start on
        self.cell = 0  # index of the code cell that was begun last
        self._inside, self._signals, self._limit = False, [signal.SIGINT], None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        atexit.unregister(self._cleanup_kernel)  # nbclient leaves it there, to fail, where no kernel started
        self.interrupts.kernels.discard(self.interrupt)
        if self.process is not None:
            kill_group(self.process.pid)  # workers that outlived their kernel

    def create_kernel_manager(self):
        """A manager that talks over sockets in a folder; no port can be taken by somebody else."""
        self.km = AsyncKernelManager(
            kernel_spec_manager=_Specs(), kernel_name=_Specs.NAME, transport="ipc",
            connection_file=str(self.connection_file),
        )
        self.km.context.rcvhwm = 0  # messages: a runner that is held up for a while loses none
        return self.km

    def _notebook_starts(self, notebook):
        self.process = self.km.provisioner.process
        self.interrupts.kernels.add(self.interrupt)

    def _cell_starts(self, cell, cell_index):
        if self.interrupts.asked:
            raise _Interrupted
        self.cell, self._limit = cell_index, OutputLimit()

    def _cell_ended(self, cell, cell_index, execute_reply):
        self._inside = False

    def interrupt(self, kill=False):
        """Called from the signal handler. A kernel between two cells ignores SIGINT; one is sent inside only."""
        if kill:
            kill_group(self.process.pid)
        elif self._inside:
            with contextlib.suppress(IndexError, ProcessLookupError):  # only once, whichever thread comes first
                os.kill(self.process.pid, self._signals.pop())  # only the kernel: its workers are its own to stop

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] == "execute_input":
            self._inside = True
            if self.interrupts.asked:  # it came while the cell was on its way
                self.interrupt()
        if msg["msg_type"] in OUTPUTS:
            msg = self._limit.keep(msg)
        return None if msg is None else super().process_message(msg, cell, cell_index)

    def output(self, outs, msg, display_id, cell_index):
        """One output a stream instead of one a message."""
        last = outs[-1] if outs else {}
        hooked = self.output_hook_stack[msg["parent_header"].get("msg_id")]
        if msg["msg_type"] == "stream" and last.get("name") == msg["content"]["name"]:
            if not hooked and not self.clear_before_next_output:
                last["text"] += msg["content"]["text"]
                return last
        return super().output(outs, msg, display_id, cell_index)


class _Specs(KernelSpecManager):
    """Knows one kernel: of *this* Python."""

    NAME = "wsnb"

    def get_kernel_spec(self, kernel_name):
        return KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="Python 3", language="python", metadata=kernel_forkserver.metadata(),
        )


@contextlib.contextmanager
def _sockets_folder():
    """A new folder of this process for sockets, with a short path: that of a socket may have 107 bytes.

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
    try:
        with locks.acquire(folder / "lock", str(folder)):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def kill_group(pid: int) -> None:
    """Kill a kernel with all processes of its group; one that is gone already is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def cause(exit_code: int | None) -> str:
    """How a kernel died; None is an unknown exit code."""
    if exit_code is None:
        return "kernel died"
    if exit_code >= 0:
        return f"kernel died (exit code {exit_code})"
    known = -exit_code in set(signal.Signals)
    name = signal.Signals(-exit_code).name if known else f"signal {-exit_code}"
    return f"kernel died ({name}{'; perhaps out of memory' if exit_code == -signal.SIGKILL else ''})"


def _left(cells) -> str:
    left = [cell for cell in cells if cell.cell_type == "code" and cell.source.strip()
            and "skip-execution" not in cell.metadata.get("tags", [])]
    return (
        f"stopped before its end: {len(left)} code cells did not finish, the first begins "
        f"{left[0].source.strip().splitlines()[0][:60]!r}; take out sys.exit() or exit()"
    )
