"""One line for all stories, calm at the start of each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.line import RunningLine, running_line

# Seconds instead of minutes between the attempts of a webhook, and a rate of requests that a busy machine can exceed.
SETTINGS = {
    "delivery": {"WEBHOOK_SCHEDULE_S": "[0, 1, 1, 2, 2]"},
    "ingest": {"RATE_PER_SECOND": "30"},
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Audits last: they look at all that the other stories left behind, and the last of them forges some of it."""
    last = ("test_audit_sources.py", "test_audit.py")
    items.sort(key=lambda item: last.index(item.path.name) + 1 if item.path.name in last else 0)


@pytest.fixture(scope="session")
def whole_line(bus: str) -> Iterator[RunningLine]:
    with running_line(settings=SETTINGS, bus=bus) as line:
        yield line


@pytest.fixture
async def line(whole_line: RunningLine) -> AsyncIterator[RunningLine]:
    await whole_line.calm()
    yield whole_line
    await whole_line.calm()
