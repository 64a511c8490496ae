"""papermill's engine, made to notice what it misses: dead kernels, cells left over, floods of output,
interrupts.
"""

import logging
import os
import re
import shutil
import signal
import sys
from pathlib import Path

from wsnb.book import kernels
from wsnb.book.output import Capped, text_of

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
                    kernels.kill_group(pid)  # workers that outlived their kernel
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
                    self.km, self.kc = kernels.kernel_manager(folder, number + 1), None

        def _interrupt(self, kill=False):
            """Called from the signal handler. A kernel between two cells ignores SIGINT, so one is sent
            inside only.
            """
            pid = self.km.provisioner.pid
            if kill:
                kernels.kill_group(pid)
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
                    raise KernelDied(kernels.cause(self.exit_code)) from error
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
            folder, lock = kernels.private_folder()
            try:
                with lock:
                    client = Client(
                        nb_man,
                        km=kernels.kernel_manager(folder, 0),
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
