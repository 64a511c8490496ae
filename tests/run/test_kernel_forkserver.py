"""Kernels forked from one process: as fresh as started ones, gone when it is gone."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.run import toy
from wsnb.run import kernel_forkserver


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """Variables of a process of the test's own, which loads no large libraries."""
    program = shutil.copy(kernel_forkserver.__file__, tmp_path)
    toy.without_libraries(tmp_path / "kernel_forkserver.py")
    monkeypatch.setattr(kernel_forkserver, "__file__", program)
    monkeypatch.setattr(kernel_forkserver, "_server", None)
    yield {**os.environ, "WSNB_TEST": str(time.monotonic())}
    if kernel_forkserver._server is not None:
        kernel_forkserver._server.close()


def test_one_process_for_the_same_variables(environment):
    first = kernel_forkserver.ready({**environment, "WSNB_STAGE_KEY": "a"})
    assert kernel_forkserver.ready({**environment, "WSNB_STAGE_KEY": "b"}) is first
    other = kernel_forkserver.ready({**environment, "WSNB_TEST": "other"})
    assert other is not first and first.process.poll() is not None


def test_other_variables_end_no_kernel_that_runs(environment, tmp_path):
    """A library that the runner loads between two stages, as OpenCV, may set variables."""
    words = ["python", "-m", "ipykernel_launcher", "-f", str(tmp_path / "connection.json")]
    kernel = kernel_forkserver.launch(words, environment, str(tmp_path))
    first, other = kernel.server, kernel_forkserver.ready({**environment, "WSNB_TEST": "other"})
    time.sleep(0.5)
    assert other is not first and kernel.poll() is None
    kernel.kill()
    end = time.monotonic() + 20
    while kernel.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert kernel.poll() == -signal.SIGKILL
    assert first.process.poll() is not None, "it had no kernel any more"
    assert kernel_forkserver.ready({**environment, "WSNB_TEST": "other", "QT_QPA_FONTDIR": "set"}) is other


def test_one_that_ended_is_replaced(environment):
    first = kernel_forkserver.ready(environment)
    first.process.kill()
    first.process.wait()
    assert kernel_forkserver.ready(environment).process.pid != first.process.pid


def test_one_that_ends_is_reported_with_its_exit_code(environment):
    process = kernel_forkserver.ready(environment)
    process.process.send_signal(signal.SIGKILL)
    with pytest.raises(RuntimeError, match=r"exit code -9"):
        for _ in range(2):  # the first question may still have reached it
            process.ask(ended=0)


def test_a_kernel_that_cannot_begin_has_an_exit_code(environment, tmp_path):
    kernel = kernel_forkserver.launch(["python", "-m", "ipykernel_launcher"], environment, str(tmp_path / "missing"))
    end = time.monotonic() + 20
    while kernel.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert kernel.wait() == 1


NO_GPU = """
import importlib, sys, torch

def used(*_):
    raise SystemExit("the driver was started")

torch.cuda._is_compiled = lambda: True  # as in a build for GPUs
torch._C._cuda_getCurrentRawStream = torch._C._cuda_getDeviceCount = torch._C._cuda_init = used
torch.cuda.is_available = torch.cuda.device_count = torch.cuda._lazy_init = used
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def test_no_library_looks_for_a_gpu_while_it_loads():
    """Kernels that are forked afterwards could not use one."""
    words = [sys.executable, "-c", NO_GPU, *kernel_forkserver.LIBRARIES]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
