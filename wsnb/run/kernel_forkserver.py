"""One process loads the large libraries once and forks each kernel of a run, which saves every stage some seconds.

Nothing of wsnb is loaded there, so that an edit between two stages is seen. This file is also that process's program:
`python -P kernel_forkserver.py FD`. The end of the file has jupyter_client fork its kernels there.
"""

import atexit
import contextlib
import ctypes
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from importlib.metadata import EntryPoint

from jupyter_client.provisioning import KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

LIBRARIES = ("ipykernel.kernelapp", "torch", "torch._dynamo", "pandas", "matplotlib.pyplot", "cv2", "scipy.io",
             "scipy.ndimage", "ipywidgets")  # torch._dynamo: every optimiser and torchvision load it
OWN = ("WSNB_STAGE", "IPYTHONDIR", "CUDA_VISIBLE_DEVICES", "JPY_",
       "QT_QPA_")  # variables that no library reads while it loads; OpenCV sets the last
PROCESS_NAME = "wsnb-kernel"  # of a kernel's process, where the system keeps names
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15


class ForkServer:
    """The process that forks kernels whose libraries saw the variables ENVIRONMENT."""

    def __init__(self, environment: dict):
        self.environment, self.lock = environment, threading.Lock()
        self.kernels = set()  # process ids of those that run
        self.owner = os.getpid()
        self.socket, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(theirs.fileno())], env=environment, stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()], start_new_session=True,
            )
        self.file = self.socket.makefile("rw")

    def ask(self, **request):
        """Its answer to a request. Raises RuntimeError if it is gone."""
        answer = ""
        with self.lock, contextlib.suppress(OSError, ValueError):  # ValueError: closed already
            print(json.dumps(request), file=self.file, flush=True)
            answer = self.file.readline()
        if answer:
            return json.loads(answer)
        self.close()
        raise RuntimeError(f"the process that starts kernels ended (exit code {self.process.returncode})")

    def close(self):
        """End it, and the kernels that still run."""
        self.process.kill()  # first: a thread that waits for its answer holds the file
        self.process.wait()
        for end in (self.file, self.socket):
            with contextlib.suppress(OSError):
                end.close()


class ForkedKernel:
    """A kernel of a ForkServer, with the interface of subprocess.Popen."""

    stdin = stdout = stderr = None

    def __init__(self, server: ForkServer, command: list, environment: dict, folder: str):
        self.server, self.returncode = server, None
        self.pid = server.ask(arguments=command[3:], environment=environment, folder=folder)
        server.kernels.add(self.pid)

    def poll(self):
        """Its exit code, None while it runs."""
        if self.returncode is None:
            try:
                self.returncode = self.server.ask(ended=self.pid)
            except RuntimeError:  # its kernels were killed with it
                self.returncode = -signal.SIGKILL
            if self.returncode is not None:
                self.server.kernels.discard(self.pid)
                _close_unused(self.server)
        return self.returncode

    def wait(self):
        """Its exit code; the caller has seen that it ended."""
        return self.poll()

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def terminate(self):
        self.send_signal(signal.SIGTERM)


_server: ForkServer | None = None
_starting = threading.Lock()


def start(environment: dict) -> ForkServer:
    """A process that loads its libraries under the variables ENVIRONMENT: the last one's, if they were the same."""
    global _server
    shared = {name: value for name, value in environment.items() if not name.startswith(OWN)}
    with _starting:
        if _server is None or _server.environment != shared or _server.process.poll() is not None:
            before, _server = _server, ForkServer(shared)
            if before is not None:
                _close_unused(before)
        return _server


@atexit.register
def _close_last() -> None:
    """End the last process: while it loads, it does not notice that this one is gone, and keeps its output open."""
    if _server is not None and os.getpid() == _server.owner:
        _server.close()


def _close_unused(server) -> None:
    """End a process that no kernel will be forked from again, once the last of its kernels has ended."""
    if server is not _server and not server.kernels:
        server.close()


def ready(environment: dict) -> ForkServer:
    """The same, once its libraries are loaded. Raises RuntimeError if it ended."""
    server = start(environment)
    server.ask(ended=0)
    return server


def launch(command: list, environment: dict, folder: str) -> ForkedKernel:
    """A kernel by COMMAND, `[python, "-m", "ipykernel_launcher", ...]`, in FOLDER."""
    return ForkedKernel(ready(environment), command, environment, folder)


def _serve(connection) -> None:
    """Load the libraries, then answer requests until the other side is gone."""
    os.environ["JPY_PARENT_PID"] = str(os.getpid())  # whom ipykernel watches
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")  # as ipykernel would
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):  # the notebook that wants it says so
            importlib.import_module(name)
    codes = {}
    with connection, connection.makefile("rw") as file:
        for line in file:
            request = json.loads(line)
            if "ended" in request:
                answer = _ended(request["ended"], codes)
            else:
                answer = os.fork()
                if answer == 0:
                    os.close(connection.fileno())  # else the other side would not notice that this process is gone
                    _become(**request)
            print(json.dumps(answer), file=file, flush=True)


def _ended(pid, codes):
    if pid and pid not in codes:
        gone, status = os.waitpid(pid, os.WNOHANG)
        if not gone:
            return None
        codes[pid] = os.waitstatus_to_exitcode(status)
    return codes.get(pid)


def _become(arguments, environment, folder):
    """Be a kernel, and end as one."""
    code = 1
    try:
        os.setsid()
        if sys.platform.startswith("linux"):
            system = ctypes.CDLL(None)
            system.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            system.prctl(PR_SET_NAME, PROCESS_NAME.encode(), 0, 0, 0)
        kept = {name: os.environ[name] for name in ("JPY_PARENT_PID", "MPLBACKEND")}
        os.environ.clear()
        os.environ.update(environment | kept)
        os.chdir(folder)
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            numpy.random.seed()  # noqa: NPY002 - siblings would draw the same
        _patient().launch_instance(arguments)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - nothing may return into the process that forks
        traceback.print_exc()
    finally:
        os._exit(code)


def _patient():
    """ipykernel's application whose messages wait for a runner that is held up: by default it drops all beyond 1000."""
    from ipykernel import kernelapp

    class Patient(kernelapp.IPKernelApp):
        def init_iopub(self, context):
            context.sndhwm = 0
            super().init_iopub(context)

    return Patient


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))


NAME = "wsnb"


class Provisioner(LocalProvisioner):
    """A local kernel, forked instead of started."""

    async def launch_kernel(self, cmd, env=None, cwd=None, **_):
        self.cwd = cwd or os.getcwd()
        self.process = launch(cmd, dict(os.environ if env is None else env), str(self.cwd))
        self.pid = self.pgid = self.process.pid  # the leader of its own group
        return self.connection_info


def metadata() -> dict:
    """Of a kernel's specification that asks for it; it needs no entry point of an installed package."""
    known = KernelProvisionerFactory.instance().provisioners
    known[NAME] = EntryPoint(NAME, f"{__name__}:Provisioner", KernelProvisionerFactory.GROUP_NAME)
    return {"kernel_provisioner": {"provisioner_name": NAME}}
