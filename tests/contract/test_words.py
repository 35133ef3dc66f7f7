"""The language of the code: names are nouns of the field, and docstrings begin with a plain verb or a noun."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.support.source import ROOT, trees

FOLDERS = ("services", "winnow", "simulators", "scripts", "model_builder", "tests")
GENERATED = "winnow/rpc/"

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DOCUMENTED = (ast.Module, ast.ClassDef, *FUNCTIONS)
BANNED_NAME = "one"
NAMED = re.compile(rf"\b{BANNED_NAME}\b")
# A clause is no summary, and a function's docstring begins with what the function does.
CLAUSES = frozenset({"How", "What", "Whatever", "When", "Where", "Whether", "Which", "Who", "Whose"})
VERBS = frozenset({"Give", "Gives", "Say", "Says", "Tell", "Tells"})


def names_of(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.alias(asname=str(name)) | ast.keyword(arg=str(name)) | ast.ExceptHandler(name=str(name)):
            yield name
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name


def docstrings_of(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Yield each docstring with what it is about, attribute docstrings included."""
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED):
            yield node, ast.get_docstring(node, clean=False) or ""
        if isinstance(node, (ast.Module, ast.ClassDef)):
            for before, after in zip(node.body, node.body[1:], strict=False):
                match after:
                    case ast.Expr(value=ast.Constant(value=str(text))) if isinstance(
                        before, ast.Assign | ast.AnnAssign
                    ):
                        yield before, text


def faults(source: str, tree: ast.Module) -> list[str]:
    """Return what a reader would stumble over, each with its line."""
    found = [
        f"{getattr(node, 'lineno', 1)}: `{BANNED_NAME}` says nothing; use the noun"
        for node in (ast.walk(tree) if NAMED.search(source) else ())
        if BANNED_NAME in names_of(node)
    ]
    for node, text in docstrings_of(tree):
        head = text.split()[0].strip(",.:;") if text.split() else ""
        if head in VERBS | CLAUSES:
            kind = "function" if isinstance(node, FUNCTIONS) else "class, module or attribute"
            found.append(f"{getattr(node, 'lineno', 1)}: the docstring of a {kind} begins with {head!r}")
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_names_and_docstrings_use_the_words_of_the_field(folder: str) -> None:
    sources = {path: tree for path, tree in trees(folder).items() if not path.startswith(GENERATED)}
    assert sources, f"{folder} holds no source"
    found = [
        f"{path}:{fault}"
        for path, tree in sources.items()
        for fault in faults((ROOT / path).read_text(encoding="utf-8"), tree)
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "for one in tasks: pass",
        "names = [one.name for one in tasks]",
        "order = sorted(tasks, key=lambda one: one.name)",
        "def read(one): pass",
        "read(one=1)",
        "text = f'{one.name}'",
        "import task as one",
        "self.one = 1",
        "with task() as one: pass",
        'def read():\n    """Give the task."""',
        'def read():\n    """What a task is."""',
        'def read():\n    """Tell whether it is there."""',
        'async def read():\n    """Say which."""',
        'class Task:\n    """How a task ends."""',
        'class Task:\n    end = 1\n    """When it ends."""',
        '"""Where tasks are."""',
    ],
)
def test_a_banned_word_is_found(source: str) -> None:
    assert len(faults(source, ast.parse(source))) >= 1


@pytest.mark.parametrize(
    "source",
    [
        "for task in tasks: pass",
        'text = "one"  # one is a number here',
        'def read():\n    """Return the task, or one of its kind."""',
        'class Task:\n    """End of a task."""',
        'def read():\n    """Whereupon is another word."""',
    ],
)
def test_other_words_pass(source: str) -> None:
    assert faults(source, ast.parse(source)) == []
