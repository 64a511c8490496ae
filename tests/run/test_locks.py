"""Locks: nobody shares, nobody dead holds (reliability rows 11 and 22)."""

import errno
import fcntl
import os
import signal
import socket
import time

import pytest

from tests.run.test_kills import wait_for
from tests.run.toy import kill
from wsnb.files import FileError
from wsnb.run import locks


def child_holding(take):
    """A child process that calls TAKE() and then sleeps; returns its pid when it has the lock."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        take()
        os.write(writer, b"x")
        time.sleep(60)
        os._exit(0)
    os.read(reader, 1)
    return pid


def end(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_held_freed_and_named(tmp_path):
    path = tmp_path / "a/lock"
    kept = []
    pid = child_holding(lambda: kept.append(locks.acquire(path, "x")))
    began = time.monotonic()
    with pytest.raises(
        locks.LockedError, match=f"the stage is in use by process {pid} on {socket.gethostname()}"
    ):
        locks.acquire(path, "the stage")
    assert time.monotonic() - began < 10 and locks.is_held(path)
    end(pid)
    assert not locks.is_held(path)
    with locks.acquire(path, "x", 0):
        assert locks.holder(path).startswith(f"process {os.getpid()} ")
    assert not locks.is_held(path)


def test_a_forked_worker_does_not_keep_the_lock(tmp_path):
    lock = locks.acquire(tmp_path / "lock", "x")
    pid = child_holding(lambda: None)
    lock.close()
    assert not locks.is_held(tmp_path / "lock")
    end(pid)


def test_second_run_is_refused(project):
    project.hold("item 0")
    first = project.start("run", "toy/tiny")
    wait_for((project.runs / "01_make/.computed").exists)
    began = time.monotonic()
    text = project.run(code=3)
    took = time.monotonic() - began
    assert f"toy/tiny in {project.runs} is in use by process {first.pid} on {socket.gethostname()}" in text
    print(f"refused after {took:.2f} s, start of Python included")
    assert "running: process" in project.wsnb("status")
    kill(first)
    project.hold()
    project.run("--until", "01_make")  # at once


def test_status_has_one_line_for_what_was_never_begun(project):
    assert project.wsnb("status").strip() == "toy/tiny: not run"
    project.run("--until", "01_make")
    first, made, *others = project.wsnb("status").splitlines()
    assert first == "toy/tiny" and "01_make" in made and "finished" in made
    assert others and all(line.endswith("not run") for line in others)


def test_gpu_slots(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")
    monkeypatch.setenv("WSNB_SLOTS", str(tmp_path))
    kept = []
    pid = child_holding(lambda: kept.append(locks.take("cuda", "a", print)))
    second, variables = locks.take("auto", "b", print)
    assert variables == {"CUDA_VISIBLE_DEVICES": "3"}
    said = []

    def say(text):
        said.append(text)
        end(pid)

    third, variables = locks.take("cuda", "c", say)  # waits until the first is killed
    assert (
        variables == {"CUDA_VISIBLE_DEVICES": "0"}
        and "waiting for a GPU" in said[0]
        and "for a" in said[0] + "for b"
    )
    assert locks.take("cpu", "d", print) == (None, {})
    second.close()
    fourth, variables = locks.take("cuda:1", "e", print)
    assert variables == {} and locks.is_held(tmp_path / "gpu-3.lock")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert locks.take("auto", "f", print) == (None, {})
    third.close(), fourth.close()


def test_several_gpus_are_taken_together_or_not_at_all(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2,5")
    monkeypatch.setenv("WSNB_SLOTS", str(tmp_path))
    pair, variables = locks.take("auto", "a", print, 2)
    assert variables == {"CUDA_VISIBLE_DEVICES": "0,2"}
    seen = []

    def say(text):  # while it waits, the one that is free stays free
        seen.append(locks.is_held(tmp_path / "gpu-5.lock"))
        pair.close()

    all_, variables = locks.take("cuda", "b", say, 3)
    assert variables == {"CUDA_VISIBLE_DEVICES": "0,2,5"} and seen == [False]
    all_.close()
    with pytest.raises(ValueError, match="gpus: 4, but c may use 3"):
        locks.take("cuda", "c", print, 4)


def test_under_a_scheduler_the_slots_are_of_its_job(tmp_path, monkeypatch):
    monkeypatch.setattr(locks.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.delenv("WSNB_SLOTS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # every job's GPU has this number
    held = []
    for job in ("17", "18"):
        monkeypatch.setenv("SLURM_JOB_ID", job)
        held.append(locks.take("auto", job, lambda text: pytest.fail(text))[0])
    for slots in held:
        slots.close()


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    (tmp_path / "lock").touch()
    monkeypatch.setattr(fcntl, "flock", refused)
    for look in (lambda: locks.acquire(tmp_path / "lock", "x"), lambda: locks.is_held(tmp_path / "lock")):
        with pytest.raises(FileError, match=f"{tmp_path}/lock: its file system refuses locks .*--runs"):
            look()
