"""The shape of the tests: what is shared lies in modules of its own, and there is a single clock that a test sets."""

from __future__ import annotations

import ast

from tests.support.source import trees

CLOCKS = {"tests/support/clock.py": {"SetClock"}, "tests/simulation/world.py": {"SimulatedClock"}}
"""Clocks by file: the one that tests set, and the one on the virtual time of a simulated world."""


def imported_tests(tree: ast.Module) -> list[str]:
    """Return the modules of tests that a module imports."""
    return [
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module
        and node.module.startswith("tests.")
        and node.module.rpartition(".")[2].startswith("test_")
    ]


def clocks(tree: ast.Module) -> set[str]:
    """Return the classes that can stand for the runtime's clock."""
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and {"now", "monotonic_s"} <= {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
    }


def test_no_module_imports_a_test() -> None:
    found = {path: imported_tests(tree) for path, tree in trees("tests").items()}
    assert {name: used for name, used in found.items() if used} == {}


def test_there_is_one_clock_that_tests_set() -> None:
    found = {path: clocks(tree) for path, tree in trees("tests").items()}
    assert {name: classes for name, classes in found.items() if classes} == CLOCKS
