"""The mutations: each module of this package that has ``MUTATIONS`` belongs to the catalogue."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import tests.mutation

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Mutation:
    """A change of one source file and the tests that must fail with it.

    ``path`` is relative to the root of the tree. ``old`` occurs exactly once in that file and is
    replaced by ``new``. ``tests`` are node ids (``tests/unit/x/test_y.py::test_z``, without
    parameters); at least one of them must fail by an assertion.
    """

    name: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]


def catalogue() -> tuple[Mutation, ...]:
    """Return the mutations of all modules of this package, by module name."""
    names = sorted(found.name for found in pkgutil.iter_modules(tests.mutation.__path__))
    modules = [importlib.import_module(f"tests.mutation.{name}") for name in names if name != "__main__"]
    return tuple(mutation for module in modules for mutation in getattr(module, "MUTATIONS", ()))


def fault(mutation: Mutation, root: Path = ROOT) -> str:
    """Return why a mutation cannot be tried on the tree below ``root``; empty when it can."""
    source = root / mutation.path
    found = source.read_text().count(mutation.old) if source.is_file() else 0
    if found != 1:
        return f"stale mutation: the text occurs {found} times in {mutation.path}"
    if mutation.old == mutation.new:
        return "the mutation changes nothing"
    if not mutation.tests:
        return "no test is named"
    missing = [node for node in mutation.tests if not _exists(root, node)]
    return f"no such test: {', '.join(missing)}" if missing else ""


def _exists(root: Path, node: str) -> bool:
    path, *names = node.split("::")
    file = root / path
    return file.is_file() and (not names or names[-1] in _defined(file))


@cache
def _defined(file: Path) -> frozenset[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return frozenset(node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, kinds))
