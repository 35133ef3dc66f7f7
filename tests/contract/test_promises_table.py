"""The README names, for every promise, tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (P\d) \| .+ \| (.+) \|$", re.MULTILINE)
NODE = re.compile(r"`(tests/[\w/]+\.py::\w+)`")
ROWS = dict(ROW.findall((ROOT / "README.md").read_text()))


def test_every_promise_has_a_row_that_names_tests() -> None:
    assert sorted(ROWS) == [f"P{number}" for number in range(1, 8)]
    assert [promise for promise, shown in ROWS.items() if not NODE.search(shown)] == []


def test_every_test_that_a_promise_names_exists() -> None:
    """A module that defines a test is run by ``make test``, which fails when it cannot be collected."""
    named = sorted({node for shown in ROWS.values() for node in NODE.findall(shown)})
    assert named
    assert [node for node in named if not _exists(node)] == []


def test_the_check_of_names_bites() -> None:
    here = "tests/contract/test_promises_table.py"
    assert _exists(f"{here}::test_the_check_of_names_bites")
    assert not _exists(f"{here}::test_gone")
    assert not _exists(f"{here}::ROOT")
    assert not _exists("tests/contract/test_gone.py::test_gone")


def _exists(node: str) -> bool:
    path, _, name = node.partition("::")
    file = ROOT / path
    is_collected = file.name.startswith("test_") and name.startswith(("test_", "Test"))
    return is_collected and file.is_file() and name in _names(ast.parse(file.read_text()))


def _names(module: ast.Module) -> set[str]:
    """Return the names of the functions and classes of a module; a state machine's test case is assigned."""
    assigned = {
        target.id
        for statement in module.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    return assigned | {
        statement.name
        for statement in module.body
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
