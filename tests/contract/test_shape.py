"""The shape of the project: budgets, file sizes, decisions, subscriptions, write concern."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUDGETS = {
    "winnow/adapters": 1_390,
    "winnow/contracts": 1_540,
    "winnow/eventstore": 2_410,
    "winnow/runtime": 950,
}
LINES_MAX = 400
SOURCES = [
    path
    for folder in ("winnow", "services", "simulators", "scripts", "model_builder")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "rpc" not in path.relative_to(ROOT).parts[:2]
]


@pytest.mark.parametrize(("folder", "lines_max"), BUDGETS.items())
def test_a_shared_room_stays_within_its_budget(folder: str, lines_max: int) -> None:
    lines = sum(len(path.read_text().splitlines()) for path in (ROOT / folder).rglob("*.py"))
    assert lines <= lines_max, (
        f"{folder} has {lines} lines; raising the budget needs a decision of its own (ADR-0036, ADR-0037)"
    )


def test_no_file_is_longer_than_400_lines() -> None:
    files = [*SOURCES, *(ROOT / "tests").rglob("*.py")]
    assert [str(path) for path in files if len(path.read_text().splitlines()) > LINES_MAX] == []


def test_a_service_has_each_public_class_name_once_and_none_of_the_contracts() -> None:
    """The command line reads the public API alone, so its views may have the names of the API."""
    homes: dict[tuple[str, str], list[str]] = defaultdict(list)
    rooms = [
        room
        for folder in ("services", "winnow")
        for room in (ROOT / folder).iterdir()
        if (room / "__init__.py").is_file()
    ]
    for path in SOURCES:
        folder, name = path.relative_to(ROOT).parts[:2]
        if folder not in {"services", "winnow"} or name == "cli":
            continue
        readers = rooms if name == "contracts" else [ROOT / folder / name]
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                for room in readers:
                    homes[room.name, node.name].append(str(path.relative_to(ROOT)))
    # A scorer's dimension measures; a contract's dimension is the result.
    del homes["scorer", "Dimension"]
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


def test_no_module_has_an_admission_of_nothing_in_its_name() -> None:
    forbidden = {"utils", "common", "helpers", "base", "misc", "shared", "manager", "processor"}
    assert [str(path) for path in SOURCES if path.stem in forbidden] == []


@pytest.mark.parametrize("path", sorted((ROOT / "docs/adr").glob("*.md")), ids=lambda path: path.stem)
def test_a_decision_has_its_parts(path: Path) -> None:
    text = path.read_text()
    number = path.name[:4]
    assert text.startswith(f"# {number} ")
    for part in ("**Context.**", "**Decision.**", "**Consequences.**", "**Alternatives", "**Enforced by**"):
        assert part in text, part


def test_decision_numbers_are_unique_and_without_gaps() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs/adr").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_subscription_says_how_it_acknowledges_and_where_it_starts() -> None:
    calls = [
        node
        for path in SOURCES
        if "subscriber" in (source := path.read_text())
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "subscriber"
    ]
    assert calls
    for call in calls:
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert given["ack_policy"] == "AckPolicy.MANUAL"
        assert given["auto_offset_reset"] == "'earliest'"
        assert given["batch"] == "True"
        assert "group_id" in given
        assert "max_workers" not in given


def test_nothing_publishes_a_keyed_batch_or_commits_by_itself() -> None:
    for path in SOURCES:
        text = path.read_text()
        assert "publish_batch" not in text, path
        assert "enable_auto_commit=True" not in text, path


def test_writes_are_acknowledged_by_a_majority_with_journal() -> None:
    from winnow.adapters.mongo import WRITE_CONCERN, Mongo

    assert WRITE_CONCERN.document == {"w": "majority", "j": True}
    database = Mongo("mongodb://127.0.0.1:1", "x").database
    assert database.write_concern.document == {"w": "majority", "j": True}
    assert database["journal"].write_concern.document == {"w": "majority", "j": True}


def test_the_project_speaks_of_itself_alone() -> None:
    pattern = re.compile(r"/work/|pypi\.org|pythonhosted|registry\.npmjs|repo1?\.maven|proxy\.golang")
    others = {".venv", ".tools", ".git", "build", "var"}
    files = [
        path
        for top in ROOT.iterdir()
        if top.name not in others
        for path in (top.rglob("*") if top.is_dir() else [top])
        if path.suffix in {".py", ".md", ".yaml", ".toml", ".lock", ".txt", ".proto"}
        and not others & set(path.relative_to(ROOT).parts)
        and path != Path(__file__)
    ]
    assert [str(path) for path in files if pattern.search(path.read_text(errors="replace"))] == []
