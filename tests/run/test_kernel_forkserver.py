"""Kernels forked from one process: as fresh as started ones, gone when it is gone."""

import os
import shutil
import signal
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
