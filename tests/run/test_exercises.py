"""Exercises: what counts as a right answer, and that answering re-runs nothing."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from wsnb.run import fingerprint, notebooks, params
from wsnb.run.exercises import check, right
from wsnb.run.fingerprint import ASIDE

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
STAGES = sorted(path for path in NOTEBOOKS.glob("*/[0-9]*.ipynb") if path.parent.name != "compare")
LESSONS = sorted(NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.parametrize(
    "answer, solution, good",
    [
        (0.5, 0.5, True),
        (0.504, 0.5, True),
        (0.51, 0.5, False),
        (np.float32(2), 2, True),
        (float("nan"), 0.5, False),
        ("0.5", 0.5, True),
        ("half", 0.5, False),
        (1e-9, 0, False),
        (0, 0, True),
        ("Mean  IoU", "mean iou", True),
        (0, "mean iou", False),
        (True, True, True),
        (1, True, False),
        (np.bool_(False), False, True),
        ([1, 2], (1, 2), True),
        ([2, 1], [1, 2], False),
        ([1], [1, 2], False),
        (["cat", "dog"], {"dog", "cat"}, True),
        (["cat"], ["cat", "dog"], False),
        (["Cat", "dog"], ["cat", "dog"], True),
        (np.ones((2, 2)), np.ones((2, 2)) + 1e-3, True),
        (np.ones((2, 2)), np.ones(4), False),
        ({}, 3.0, False),
    ],
)
def test_right(answer, solution, good):
    assert right(answer, solution) is good


def test_said(capsys):
    assert check(None, 3) is None and check(3, 3) is True and check(4, 3, hint="Count again.") is False
    assert capsys.readouterr().out.splitlines()[1:] == ["Right.", "Not yet. Count again."]


def test_data_without_an_answer(capsys):
    assert check(3, float("nan")) is None and "no answer" in capsys.readouterr().out


@pytest.mark.parametrize("path", [*STAGES, *LESSONS], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_notebook_has_a_goal_and_an_exercise_with_its_answer(path):
    cells = json.loads(path.read_text())["cells"]
    texts = ["".join(cell["source"]) for cell in cells]
    tagged = {tag: [text for cell, text in zip(cells, texts, strict=True) if tag in cell["metadata"].get("tags", [])]
              for tag in ASIDE}
    assert "**You will learn**" in texts[0] and texts[-1].count("**References.**") == 1
    numbers = [int(n) for text in texts for n in re.findall(r"^### Exercise (\d+): ", text, re.M)]
    assert numbers and numbers == list(range(1, len(numbers) + 1)), "exercises are numbered from 1"
    for n, question, answer in zip(numbers, tagged["exercise"], tagged["solution"], strict=True):
        assert re.fullmatch(rf"answer_{n} = None\b.*", question) and f"check(answer_{n}, " in answer
        assert "hint=" in answer
    hidden = [cell["metadata"]["jupyter"]["source_hidden"] for cell in cells
              if "solution" in cell["metadata"].get("tags", [])]
    assert all(hidden)
    end = next(i for i, text in enumerate(texts) if ".finish(" in text or path in LESSONS and "## Exercises" in text)
    assert not any(set(ASIDE) & set(cell["metadata"].get("tags", [])) for cell in cells[:end])


@pytest.mark.parametrize("paper", sorted({path.parent.name for path in STAGES}))
def test_every_chapter_has_one_experiment_of_ten_minutes(paper):
    found = [text for path in STAGES if path.parent.name == paper
             for cell in json.loads(path.read_text())["cells"]
             if "### The ten-minute experiment" in (text := "".join(cell["source"]))]
    assert len(found) == 1
    assert re.search(rf"^wsnb run {paper}/shapes\S* ", found[0], re.M) and "On two" in found[0]
    assert not re.search(r"\d+(\.\d+)? %", found[0]), "numbers come from the records of the reader's own runs"


def written(path, *cells):
    cells = [{"cell_type": "code", "metadata": {"tags": list(tags)}, "source": source} for source, *tags in cells]
    path.write_text(json.dumps({"nbformat": 4, "metadata": {}, "cells": cells}))
    return fingerprint.reached(notebooks.read(path))


def test_an_answer_re_runs_nothing(tmp_path):
    head = [("x: int = 1", "parameters"), ("stage.finish()",)]
    before = written(tmp_path / "a.ipynb", *head, ("answer_1 = None", "exercise"), ("check(answer_1, 3)", "solution"))
    after = written(tmp_path / "a.ipynb", *head, ("answer_1 = 3", "exercise"), ("check(answer_1, 3)", "solution"))
    assert before == after
    assert written(tmp_path / "a.ipynb", *head, ("answer_1 = 3",)) != before  # only with the tag


def test_a_tag_before_the_end_hides_no_code(tmp_path):
    one = written(tmp_path / "a.ipynb", ("x = 1", "exercise"), ("stage.finish()",))
    assert written(tmp_path / "a.ipynb", ("x = 2", "exercise"), ("stage.finish()",)) != one


def test_no_task_stands_twice_and_each_names_parameters_that_are_there():
    """Of *Try this* and of the exercises: `name = value` in backticks is a parameter of the chapter's notebooks."""
    seen = {}
    for path in [*STAGES, *LESSONS]:
        cells = json.loads(path.read_text())["cells"]
        near = path.parent.glob("[0o]*.ipynb")
        declared = {name for other in near for name in params.declared(notebooks.read(other))}
        for source in ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"):
            if "### Try this" in source:
                for task in re.findall(r"^\d\. (.+?)(?=^\d\. |^\*\*|\Z)", source, re.M | re.S):
                    task = " ".join(task.split())
                    assert task not in seen, (path, seen[task])
                    seen[task] = path
                    names = re.findall(r"`(\w+) ?= ?[^`=]+`", task)
                    assert set(names) <= {*declared, "found"}, (path, task)
            for title in re.findall(r"^### Exercise \d+: (.+)$", source, re.M):
                assert title not in seen, (path, seen[title])
                seen[title] = path
