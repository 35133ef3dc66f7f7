"""Every case of docs/ledger.md has its row, and every test that a row names is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs/ledger.md").read_text()
ROW = re.compile(r"^\| (\d+) \| (.+) \| (.+) \|$", re.MULTILINE)
SHOWN_BY = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@cache
def names_of(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def test_every_case_has_a_row_that_names_a_test_or_says_why_there_is_none() -> None:
    rows = {int(number): shown for number, _, shown in ROW.findall(TEXT)}
    assert sorted(rows) == list(range(1, 31))
    assert [number for number, shown in rows.items() if not SHOWN_BY.search(shown)] == [22]


def test_every_test_that_is_named_is_there() -> None:
    named = SHOWN_BY.findall(TEXT)
    assert len(named) > 50
    assert [(path, name) for path, name in named if name not in names_of(path)] == []
