"""A tiny project for each test that asks for one."""

import shutil

import pytest

from tests.run.toy import Project


@pytest.fixture
def project(tmp_path):
    """A fresh tiny project."""
    return Project(tmp_path / "a project")


@pytest.fixture(scope="session")
def _finished(tmp_path_factory):
    made = Project(tmp_path_factory.mktemp("finished") / "a project")
    made.run()
    return made


@pytest.fixture
def finished(_finished, tmp_path):
    """A tiny project of one's own whose three stages have run."""
    root = tmp_path / "a finished project"
    shutil.copytree(_finished.root, root, symlinks=True)
    copy = object.__new__(Project)
    copy.root, copy.name = root, _finished.name
    return copy
