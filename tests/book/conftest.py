"""A tiny project for each test that asks for one."""

import pytest

from tests.book.toy import Project


@pytest.fixture
def project(tmp_path):
    """A fresh tiny project."""
    return Project(tmp_path / "a project")
