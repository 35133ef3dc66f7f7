"""One line for all stories, calm at the start of each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.servers.line import RunningLine, running_line

# Seconds instead of minutes between the attempts of a webhook, a rate of requests that a busy machine can exceed, and
# room for the many requests without a key that a reader of the API's document sends.
SETTINGS = {
    "delivery": {"WEBHOOK_SCHEDULE_S": "[0, 1, 1, 2, 2]"},
    "ingest": {"RATE_PER_SECOND": "30", "FAILED_PROOFS_BURST_COUNT": "10000"},
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The newcomer first, with a line of its own that is down again before the line of all other stories starts.

    The examples of the API's document come next: they run as they stand, idempotency keys included, so nobody may
    have used those before (the reader of the document does).
    Last come those that look at all that the other stories left behind; the last of them forges some of it.
    """
    last = ("test_one_end.py", "test_audit_sources.py", "test_audit_promises.py", "test_audit.py")
    order = {"test_newcomer.py": -2, "test_api_examples.py": -1} | {
        name: number for number, name in enumerate(last, 1)
    }
    items.sort(key=lambda item: order.get(item.path.name, 0))


@pytest.fixture(scope="session")
def whole_line(bus: str) -> Iterator[RunningLine]:
    with running_line(settings=SETTINGS, bus=bus) as line:
        yield line


@pytest.fixture
async def line(whole_line: RunningLine) -> AsyncIterator[RunningLine]:
    await whole_line.calm()
    yield whole_line
    await whole_line.calm()
