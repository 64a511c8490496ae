"""The bar of `wsnb run` on a terminal; in a pipe there is none."""

import os
import pty
import termios

import pytest

from tests.run import toy

# what Stage.progress writes every 5 s
COUNTING = 'stage.log("2/5 items, 6 s to go")\nstage.log("half")\nstage.finish()'


@pytest.fixture
def project(tmp_path):
    made = toy.Project(tmp_path)
    made.single(COUNTING)
    return made


def on_a_terminal(project, *arguments):
    """Everything that `wsnb run toy/tiny ARGUMENTS` writes to a terminal."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (30, 100))  # a new one has no columns
    process, said = project.start("run", "toy/tiny", *arguments, stdin=its, stdout=its, stderr=its), b""
    os.close(its)
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the terminal's other end is closed
            break
        said += part
        if not part:
            break
    os.close(ours)
    assert process.wait(60) == 0, said.decode()
    return said.decode()


def test_a_terminal_shows_a_bar_and_how_far_a_stage_is(project):
    said = on_a_terminal(project)
    assert "0/1 stages |" in said and "01_make 2/5 items, 6 s to go" in said
    lines = [line.rpartition("\r")[2] for line in said.replace("\r\n", "\n").split("\n")]
    assert any(line.startswith("[toy/tiny 01_make] ") and line.endswith(" half") for line in lines)
    assert not any(line.startswith("[toy/tiny") and "2/5" in line for line in lines)  # in the bar, not above it
    assert not lines[-1].strip()  # the bar is gone


def test_no_bar_in_a_pipe_nor_if_quiet(project):
    said = project.run()
    assert "stages |" not in said and "\r" not in said and "2/5 items" in said
    project.edit("01_make", "half", "whole")
    assert "stages |" not in on_a_terminal(project, "-q")
