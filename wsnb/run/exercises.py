"""Exercises with checkable answers. In a notebook, after the stage has finished:

a Markdown cell with the question, headed `### Exercise 1: ...`; a code cell tagged `exercise` with `answer_1 = None`;
a code cell tagged `solution`, collapsed in JupyterLab and on the site, with `check(answer_1, <solution>, hint="...")`.
Cells with these two tags are no part of a stage's key: an answer re-runs nothing.
"""

import numpy as np


def check(answer, solution, tolerance: float = 0.01, hint: str = "") -> bool | None:
    """Say whether ANSWER is right; None ("not answered yet", or no answer in this run's data: SOLUTION is NaN), True or
    False.

    Numbers, lists and arrays may be off by TOLERANCE times the solution's largest absolute value; text counts without
    case and spaces; a set's order does not matter.
    """
    if answer is None:
        print("Not answered yet: put your answer in place of None, run that cell and this one again.")
        return None
    if isinstance(solution, float | np.floating) and np.isnan(solution):
        print("The data of this run give no answer to this one: take a run with more pictures.")
        return None
    good = right(answer, solution, tolerance)
    print("Right." if good else f"Not yet. {hint}".rstrip())
    return good


def right(answer, solution, tolerance: float = 0.01) -> bool:
    """Whether an answer is right, see check."""
    if isinstance(solution, str):
        return isinstance(answer, str) and _plain(answer) == _plain(solution)
    if isinstance(solution, bool):
        return isinstance(answer, bool | np.bool_) and bool(answer) == solution
    if isinstance(solution, set | frozenset):
        return isinstance(answer, set | frozenset | list | tuple) and set(answer) == set(solution)
    if isinstance(solution, list | tuple) and any(isinstance(one, str) for one in solution):
        same = isinstance(answer, list | tuple) and len(answer) == len(solution)
        return same and all(right(a, b, tolerance) for a, b in zip(answer, solution, strict=True))
    try:
        mine, theirs = np.asarray(answer, float), np.asarray(solution, float)
    except (TypeError, ValueError):
        return False
    if mine.shape != theirs.shape or not np.isfinite(mine).all():
        return False
    return bool(np.all(np.abs(mine - theirs) <= tolerance * max(np.abs(theirs).max(initial=0), 1e-12)))


def _plain(text: str) -> str:
    return "".join(text.casefold().split())
