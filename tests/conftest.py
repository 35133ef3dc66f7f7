"""Marks by folder, fixtures for real servers, and a summary of which servers were exercised."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stack import EXERCISED, running_servers
from winnow.local.stack import Addresses

FOLDERS = ("unit", "contract", "integration", "e2e", "chaos")
# A broker may hold a killed consumer's partitions for 30 to 50 s, and some stories kill three times.
_TIMEOUTS_S = {"integration": 500, "e2e": 180, "chaos": 600}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the marker and the time limit of its folder."""
    for item in items:
        folder = Path(str(item.path)).relative_to(Path(__file__).parent).parts[0]
        if folder in FOLDERS:
            item.add_marker(getattr(pytest.mark, folder))
        if folder in _TIMEOUTS_S:
            item.add_marker(pytest.mark.timeout(_TIMEOUTS_S[folder]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which servers the tests ran against."""
    servers = ", ".join(EXERCISED) if EXERCISED else "none"
    terminalreporter.write_line(f"servers exercised: {servers}")


@pytest.fixture(scope="session")
def servers() -> Iterator[Addresses]:
    """Give real servers, shared by the session."""
    with running_servers() as addresses:
        yield addresses
