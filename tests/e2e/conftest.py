"""One line for all stories, calm at the start of each, and a small one for what reads its whole record often."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.e2e.small_record import place_orders
from tests.support.groups import group_of
from tests.support.servers.line import RunningLine, running_line

# Seconds instead of minutes between the attempts of a webhook, a rate of requests that a busy machine can exceed, and
# room for the many requests without a key that a reader of the API's document sends. The stories order one after another,
# so a single process scores.
SETTINGS = {
    "delivery": {"WEBHOOK_SCHEDULE_S": "[0, 1, 1, 2, 2]"},
    "ingest": {"RATE_PER_SECOND": "30", "FAILED_PROOFS_BURST_COUNT": "10000"},
    "scorer": {"PROCESSES": "1"},
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The newcomer first, with a line of its own that is down again before the line of all other stories starts.

    The examples of the API's document come next: they run as they stand, idempotency keys included, so nobody may
    have used those before (the reader of the document does).
    Then come those that look at all that the other stories left behind; the last of them forges some of it.
    Those of the small line end: the last of them stops its services.
    """
    last = (
        "test_one_end.py",
        "test_audit.py",
        "test_audit_sources.py",
        "test_audit_promises.py",
        "test_rebuild.py",
    )
    order = {"test_newcomer.py": -2, "test_api_examples.py": -1} | {
        name: number for number, name in enumerate(last, 1)
    }
    items.sort(key=lambda item: order.get(item.path.name, 0))


class SharedLine:
    """Line of a group of tests, started for the first of them."""

    def __init__(self, start: Callable[[str], AbstractContextManager[RunningLine]]) -> None:
        self._start = start
        self._running = contextlib.ExitStack()
        self._line: RunningLine | None = None
        self._bus = ""

    def on(self, bus: str) -> RunningLine:
        """Return the line on a bus; the line on another bus stops before."""
        if self._line is None or self._bus != bus:
            self.stop()
            self._line = self._running.enter_context(self._start(bus))
            self._bus = bus
        return self._line

    def stop(self) -> None:
        """Stop the line if it runs."""
        self._line = None
        self._running.close()


_SHARED = pytest.StashKey[list[SharedLine]]()


def pytest_configure(config: pytest.Config) -> None:
    """Prepare for the lines that tests share."""
    config.stash[_SHARED] = []


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop the line when its group has ended in this process: a line at rest still costs a quarter of a core.

    A process that runs all groups goes from group to group and back, so it keeps the line.
    """
    is_over = nextitem is not None and group_of(nextitem.nodeid) != group_of(item.nodeid)
    if is_over and hasattr(item.config, "workerinput"):
        for line in item.config.stash[_SHARED]:
            line.stop()


@contextlib.contextmanager
def shared(
    config: pytest.Config, start: Callable[[str], AbstractContextManager[RunningLine]]
) -> Iterator[SharedLine]:
    """Yield a line that stops with its group of tests, or at the end of the context."""
    line = SharedLine(start)
    config.stash[_SHARED].append(line)
    yield line
    line.stop()


@pytest.fixture(scope="session")
def shared_line(pytestconfig: pytest.Config) -> Iterator[SharedLine]:
    with shared(pytestconfig, lambda bus: running_line(settings=SETTINGS, bus=bus)) as line:
        yield line


@pytest.fixture(scope="module")
def whole_line(shared_line: SharedLine, bus: str) -> RunningLine:
    return shared_line.on(bus)


@pytest.fixture
async def line(whole_line: RunningLine) -> AsyncIterator[RunningLine]:
    await whole_line.calm()
    yield whole_line
    await whole_line.calm()


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of ``early``, an archive of some of the small line's record."""
    return tmp_path_factory.mktemp("archives")


@contextlib.contextmanager
def _small_line(archives: Path, bus: str) -> Iterator[RunningLine]:
    with running_line(settings={"scorer": SETTINGS["scorer"]}, bus=bus) as line:
        asyncio.run(place_orders(line, archives / "early"))
        yield line


@pytest.fixture(scope="session")
def shared_small_line(pytestconfig: pytest.Config, archives: Path) -> Iterator[SharedLine]:
    with shared(pytestconfig, lambda bus: _small_line(archives, bus)) as line:
        yield line


@pytest.fixture(scope="module")
def small_line(shared_small_line: SharedLine, bus: str) -> RunningLine:
    """Return a line that has something of everything in its record, and little of it."""
    return shared_small_line.on(bus)
