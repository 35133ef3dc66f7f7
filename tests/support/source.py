"""Modules of this repository as syntax trees, parsed when a test asks."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def trees(folder: str) -> dict[str, ast.Module]:
    """Return the trees of the modules below a folder by their paths."""
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text())
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
