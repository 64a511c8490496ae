"""README's table of promises names tests and benchmarks that exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"\| (\d+) \|(?:[^|]*\|){2}(.*)\|([^|]*)\|")


def rows():
    """(number, test column, figure) of each row."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## When something goes wrong")[2]
    lines = section.partition("</details>")[0].splitlines()
    return [match.groups() for line in lines if (match := ROW.fullmatch(line))]


def defined(path) -> set:
    """Names of the functions of a test module."""
    return {node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.FunctionDef)}


def test_every_row_has_a_test_and_a_figure():
    assert [int(number) for number, _, _ in rows()] == list(range(1, 25))
    for number, column, figure in rows():
        assert "::" in column or "benchmarks." in column, number
        assert figure.strip() and "@" not in figure, number


def test_what_the_table_names_exists():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    tests = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert len(tests) > 30
    assert [f"{path}::{name}" for path, name in tests if name not in defined(ROOT / path)] == []
    named = re.findall(r"`python -m benchmarks\.(\w+)", text)
    assert [name for name in named if not (ROOT / f"benchmarks/{name}.py").is_file()] == []
