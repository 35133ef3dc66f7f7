"""The glossary and the code use the same words."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.support.source import ROOT, trees

PAGE = ROOT / "docs/glossary.md"
SHARED_ROOMS = ("winnow/eventstore", "winnow/contracts")
"""Rooms whose public names every service reads."""
PLAIN = frozenset(
    {
        # Python's and the wire's own words, explained where they stand.
        "codec",
        "command",
        "entities",
        "envelope",
        "error",
        "errors",
        "event",
        "listener",
        "message",
        "mode",
        "money",
        "topic",
        "value",
    }
)


def rows() -> list[tuple[str, str]]:
    """Return the words and the meanings of the page."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and "|---" not in line]
    return [(cells[1].strip(), cells[2].strip()) for line in lines[1:] if (cells := line.split("|"))]


def defined(folder: str) -> dict[str, str]:
    """Return the public classes below a folder with their files."""
    return {
        node.name: path
        for path, tree in trees(folder).items()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    }


@cache
def types() -> set[str]:
    """Return the names of the public classes and of the aliases of types."""
    classes = {
        name for folder in ("winnow", "services", "simulators", "tests/chaos") for name in defined(folder)
    }
    aliases = {
        target.id
        for folder in ("winnow", "services")
        for tree in trees(folder).values()
        for node in tree.body
        if isinstance(node, (ast.Assign, ast.AnnAssign))
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and not target.id.isupper()
    }
    return classes | aliases


NAMED = sorted({name for _, text in rows() for name in re.findall(r"`([A-Z][A-Za-z0-9]+)`", text)})


@pytest.mark.parametrize("name", NAMED)
def test_a_type_of_the_glossary_exists(name: str) -> None:
    assert name in types()


def test_a_word_has_one_row() -> None:
    words = [word for row, _ in rows() for word in re.split(r", ", row)]
    assert sorted({word for word in words if words.count(word) > 1}) == []


@pytest.mark.parametrize(("name", "path"), sorted(defined(SHARED_ROOMS[0]).items()))
def test_a_type_of_the_journal_is_explained(name: str, path: str) -> None:
    """Its name, or a word of it, has a row."""
    page = " ".join(f"{word} {text}" for word, text in rows()).lower()
    parts = [part.lower() for part in re.findall(r"[A-Z][a-z]+", name)]
    assert any(part in PLAIN or re.search(rf"\b{part}", page) for part in parts), f"{path}: {name} has no row"
