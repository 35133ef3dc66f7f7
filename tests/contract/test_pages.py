"""The hand-written pages name what exists: links, metrics, commands and settings; figures have a source."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from scripts.figure_tables import FOLDER, read_figures
from scripts.metrics import declared_metrics

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(
        ROOT / name
        for name in ("README.md", "CONTRIBUTING.md", "deploy/k8s/README.md", "model_builder/README.md")
    ),
    *sorted((ROOT / "docs").rglob("*.md")),
]
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


@cache
def text_of(path: Path) -> str:
    return path.read_text()


@cache
def anchors_of(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text_of(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    lost = []
    for link in LINK.findall(CODE.sub("", text_of(page))):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors_of(target)):
            lost.append(link)
    assert lost == []


def test_every_metric_that_a_page_names_is_declared() -> None:
    declared = {name for metric in declared_metrics() for name in (metric.name, *metric.series)}
    services = {"winnow_ingest", "winnow_router", "winnow_scorer", "winnow_ledger", "winnow_delivery"}
    for page in PAGES:
        named = set(re.findall(r"\bwinnow_[a-z_]+[a-z]\b", text_of(page)))
        assert named - declared - services - {"winnow_media"} == set(), page


def test_every_command_that_a_page_names_is_there() -> None:
    commands = set(re.findall(r"^### `(winnow [\w -]+)`$", text_of(ROOT / "docs/cli.md"), re.MULTILINE))
    groups = {" ".join(command.split()[:2]) for command in commands}
    for page in PAGES:
        for words in re.findall(r"(?:^\$ |`)(winnow [a-z]+(?: [a-z]+)?)", text_of(page), re.MULTILINE):
            two = " ".join(words.split()[:2])
            assert words in commands or (two in groups and (two in commands or words == two)), (page, words)


def test_every_setting_that_a_page_names_is_read() -> None:
    settings = set(re.findall(r"WINNOW_[A-Z0-9_]+", text_of(ROOT / "docs/settings.md")))
    settings |= set(re.findall(r"WINNOW_[A-Z0-9_]+", text_of(ROOT / "docs/cli.md")))
    sources = [
        *(ROOT / "tests").rglob("*.py"),
        *(ROOT / "winnow").rglob("*.py"),
        *(ROOT / "scripts").rglob("*.py"),
    ]
    settings |= {match for path in sources for match in re.findall(r"\bWINNOW_[A-Z0-9_]+", path.read_text())}
    for page in PAGES:
        named = set(re.findall(r"\bWINNOW_[A-Z0-9_]*[A-Z0-9]\b", text_of(page)))
        assert {
            name for name in named if name not in settings and f"{name}_" not in "".join(settings)
        } == set(), page


def test_every_measured_figure_has_a_date_a_command_and_a_value() -> None:
    names = sorted(path.name for path in FOLDER.glob("*.csv") if path.name != "faults.csv")
    assert names
    for name in names:
        assert read_figures(name), name
