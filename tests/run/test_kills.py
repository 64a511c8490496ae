"""Kills: whatever is killed whenever, the next run continues to the same artefacts (reliability rows 1, 2,
17).
"""

import os
import random
import signal
import time

import psutil

from tests.run.toy import kill
from wsnb.run import kernel_forkserver


def kernels(project):
    """Kernels of this project that are alive."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.name() == kernel_forkserver.PROCESS_NAME and process.environ().get("WSNB_ROOT") == str(
                project.root
            ):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def wait_for(condition, seconds=120):
    """Wait until CONDITION() is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_runner_killed_at_random_moments(project, finished):
    chance, kills, pause = random.Random(3), 0, ("-p", "pause=0.25")

    def progress():
        return [path.stat().st_mtime_ns for path in sorted(project.runs.rglob("[!.]*"))]

    while kills < 10:
        before = progress()
        process = project.start("run", "toy/tiny", *pause)
        if kills % 2:  # every other kill strikes inside a cell
            wait_for(
                lambda process=process, before=before: process.poll() is not None or progress() != before
            )
            time.sleep(chance.uniform(0.0, 0.5))
        else:
            time.sleep(chance.uniform(0.2, 1.8))
        if process.poll() is not None:
            process.communicate()
            break
        kill(process)
        kills += 1
        for path in project.root.glob("runs/toy/tiny/*/manifest.json"):
            assert (path.parent / "results.json").exists()
    project.run(*pause)
    assert project.hashes() == finished.hashes()
    computed = (project.runs / "01_make/.computed").read_text().split()
    assert len(computed) <= 5 + kills
    wait_for(lambda: not kernels(project))
    print(f"{kills} kills, {len(computed) - 5} items computed twice, artefacts equal")


def test_orphan_dies_with_the_runner(project):
    project.hold("item 0")
    process = project.start("run", "toy/tiny")
    wait_for((project.runs / "01_make/.computed").exists)
    (orphan,) = kernels(project)
    orphan.suspend()  # it cannot look for its parent any more: the system has to end it
    kill(process)
    orphan.wait(timeout=60)


def test_kernel_killed(project, finished):
    project.hold("step 2")
    process = project.start("run", "toy/tiny")
    wait_for((project.runs / "02_train/state.json").exists)
    for found in kernels(project):
        found.kill()
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "FAILED" in text and "kernel died (SIGKILL; perhaps out of memory)" in text and "continue" in text
    assert project.manifest("01_make") and not project.manifest("02_train")
    assert (project.runs / "02_train/notebook.failed.ipynb").exists()
    assert "kernel died" in (project.runs / "02_train/log.txt").read_text()
    project.hold()
    text = project.run()
    assert "it did not finish; it continues" in text
    assert project.hashes() == finished.hashes()


def test_kernel_killed_at_its_start(project):
    project.single("stage.finish()")
    process = project.start("run", "toy/tiny")
    wait_for(lambda: kernels(project))
    kernels(project)[0].kill()  # before it listens: another one is started
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 0 and "Traceback" not in text, text


def test_kernel_that_exits(project):
    project.single("import os\nos._exit(7)")
    assert "kernel died (exit code 7)" in project.run(code=1)


def test_interrupts(project, finished):
    state = project.runs / "02_train/state.json"
    for number, step in ((signal.SIGTERM, 2), (signal.SIGINT, 4)):
        project.hold(f"step {step}")
        process = project.start("run", "toy/tiny")
        wait_for(lambda step=step: state.exists() and f'"step": {step}' in state.read_text())
        began = time.monotonic()
        process.send_signal(number)
        text, _ = process.communicate(timeout=120)
        assert process.returncode == 75, text
        assert "saved at an interrupt" in text and "interrupted; the same command continues" in text
        assert time.monotonic() - began < 10 and not project.manifest("02_train")
    project.hold()
    project.run()
    assert project.hashes() == finished.hashes()


def test_interrupt_at_any_moment(project):
    """Also before a kernel is there, and between cells, where the kernel itself does not listen."""
    project.single("import time\ntime.sleep(0.1)", "time.sleep(0.1)", "time.sleep(30)", "stage.finish()")
    for delay in (0.3, 0.9, 1.3, 1.7):
        process = project.start("run", "toy/tiny")
        time.sleep(delay)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        text, _ = process.communicate(timeout=120)
        assert process.returncode in (75, -signal.SIGTERM), text  # the latter while Python itself starts
        assert time.monotonic() - began < 10
    assert not project.manifest("01_make")


def test_interrupt_after_the_fork_server_was_killed(project):
    """Another one is started, whose libraries take a while on a busy machine: nobody waits for them."""
    (project.root / "slow.py").write_text("import time\ntime.sleep(40)\n")
    program = project.root / "wsnb/run/kernel_forkserver.py"
    program.write_text(program.read_text().replace('("ipykernel.kernelapp",)', '("ipykernel.kernelapp", "slow")'))
    process, servers = project.start("run", "toy/tiny"), []

    def server():
        below = psutil.Process(process.pid).children()
        return next((one for one in below if one.pid not in servers and program.name in " ".join(one.cmdline())), None)

    wait_for(server)
    time.sleep(1)  # the runner waits for it
    servers.append(server().pid)
    os.kill(servers[0], signal.SIGKILL)
    wait_for(server)
    time.sleep(1)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    text, _ = process.communicate(timeout=120)
    ended = time.monotonic() - began
    assert process.returncode == 75 and "interrupted; the same command continues" in text, text
    assert ended < 10 and not project.manifest("01_make")
    print(f"ended {ended:.1f} s after SIGTERM")


def test_a_kernel_that_ignores_interrupts_can_be_killed(project):
    project.single(  # the log's line is inside of the try: the file has it before stage.log returns
        "import time\nend = time.time() + 600\nwhile time.time() < end:\n    try:\n        stage.log('in')\n"
        "        time.sleep(30)\n    except KeyboardInterrupt:\n        stage.log('no')"
    )
    process = project.start("run", "toy/tiny")
    log = project.runs / "01_make/log.txt"
    wait_for(lambda: log.exists() and " in" in log.read_text())
    process.send_signal(signal.SIGTERM)
    wait_for(lambda: " no" in log.read_text())
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 75 and not kernels(project)


def test_workers_do_not_outlive_a_killed_kernel(project):
    project.single(
        "import multiprocessing, time\ncontext = multiprocessing.get_context('fork')\n"
        "worker = context.Process(target=time.sleep, args=(600,))\nworker.start()\n"
        "(stage.folder / 'pid').write_text(str(worker.pid))\ntime.sleep(600)"
    )
    process = project.start("run", "toy/tiny")
    wait_for(lambda: (project.runs / "01_make/pid").exists() and (project.runs / "01_make/pid").read_text())
    worker = int((project.runs / "01_make/pid").read_text())
    kill(process)
    wait_for(lambda: not os.path.exists(f"/proc/{worker}"))
    project.single("stage.finish()")
    project.run()  # and nobody holds the lock
