"""Marks by folder, buses, fixtures for real servers, and a summary of which servers were exercised."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path

import pytest
import structlog

from tests.support.groups import GroupScheduling, place_of
from tests.support.servers import buses
from tests.support.servers.kafka.classpath import KafkaUnavailable
from tests.support.servers.stack import EXERCISED, note_exercised, running_servers
from winnow.local.stack import Addresses

# Native libraries read these when they load. Threads of theirs that wait for each other keep a core busy, and scoring
# processes have one as well.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
    os.environ.setdefault(_name, "1")

FOLDERS = ("unit", "contract", "integration", "e2e", "chaos")
# A broker may hold a killed consumer's partitions for 30 to 50 s, and some stories kill three times.
_TIMEOUTS_S = {"quality": 120, "integration": 500, "e2e": 180, "chaos": 600}
_CHOSEN = pytest.StashKey[buses.Chosen]()
_STORIES = "test_stories.py"
_OBJECTS_BETWEEN = 5_000
"""New objects between two looks for cycles (Python: 700)."""
_LOSSES = ("integration", "kafka")
"""The folder of the tests that need Apache Kafka itself."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the caller choose the bus."""
    parser.addoption(
        "--bus",
        choices=list(buses.CHOICES),
        default=os.environ.get("WINNOW_TEST_BUS", buses.TANSU),
        help="bus of the tests that need one (default: WINNOW_TEST_BUS, else tansu)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Find out what can be run; in CI nothing may be missing."""
    config.addinivalue_line("markers", "one_bus: proves the same on every bus, so one round is enough")
    config.addinivalue_line("markers", "meanwhile: asks, last of all, what was done beside the other tests")
    # The default draws every local variable of a traceback, which takes longer than many a test.
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    try:
        config.stash[_CHOSEN] = buses.choose(config.getoption("bus"))
    except KafkaUnavailable as error:
        raise pytest.UsageError(f"Apache Kafka is required here: {error}") from error


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Leave modules and tests out of the looks for cycles: they stay, and each look would walk all of them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(_OBJECTS_BETWEEN)
        gc.enable()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that needs a bus once on each."""
    if "bus" in metafunc.fixturenames:
        names = metafunc.config.stash[_CHOSEN].buses
        alone = metafunc.definition.get_closest_marker("one_bus") is not None or _is_story(
            metafunc.definition
        )
        metafunc.parametrize("bus", names[:1] if alone else names, indirect=True, scope="session")


def _is_story(item: pytest.Item) -> bool:
    """Return whether a test needs a whole line, of which the stories of ``test_stories.py`` suffice on each bus."""
    return _folders(item)[0] == "e2e" and item.path.name != _STORIES


def pytest_itemcollected(item: pytest.Item) -> None:
    """Add the marker and the time limit of a test's folder."""
    folder = _folders(item)[0]
    if folder in FOLDERS:
        item.add_marker(getattr(pytest.mark, folder))
    if folder in _TIMEOUTS_S:
        item.add_marker(pytest.mark.timeout(_TIMEOUTS_S[folder]))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what was not asked for or cannot be had; order one bus after the other."""
    chosen = config.stash[_CHOSEN]
    for item in items:
        if chosen.kafka_missing and _folders(item)[:2] == _LOSSES:
            item.add_marker(pytest.mark.skip(reason=chosen.kafka_missing))
    if not chosen.kafka_asked:
        unasked = [item for item in items if _folders(item)[:2] == _LOSSES]
        config.hook.pytest_deselected(items=unasked)
        items[:] = [item for item in items if item not in unasked]
    items.sort(key=_round)
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: place_of(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> GroupScheduling | None:
    """Share groups out (``--dist loadscope``) instead of files."""
    return GroupScheduling(config, log) if config.getvalue("dist") == "loadscope" else None


def _folders(item: pytest.Item) -> tuple[str, ...]:
    return _folders_of(item.path)


@cache
def _folders_of(path: Path) -> tuple[str, ...]:
    return path.relative_to(Path(__file__).parent).parts


def _bus(item: pytest.Item) -> str:
    return str(getattr(getattr(item, "callspec", None), "params", {}).get("bus", ""))


def _round(item: pytest.Item) -> int:
    if item.get_closest_marker("meanwhile") is not None:
        return 3
    if _folders(item)[:2] == _LOSSES:
        return 2
    return int(_bus(item) == buses.KAFKA)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Report to the process that distributes the tests which servers this process used."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["exercised"] = list(EXERCISED)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Add the servers of a process that has run tests."""
    for line in getattr(node, "workeroutput", {}).get("exercised", ()):
        note_exercised(line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print which servers the tests ran against."""
    servers = ", ".join(EXERCISED) if EXERCISED else "none"
    terminalreporter.write_line(f"servers exercised: {servers}")
    chosen = config.stash[_CHOSEN]
    if chosen.notice and (EXERCISED or chosen.kafka_missing):
        terminalreporter.write_line(chosen.notice)


@pytest.fixture(scope="session")
def bus(request: pytest.FixtureRequest) -> str:
    """Return the name of the bus of this round."""
    return str(request.param)


@pytest.fixture(scope="session")
def servers(bus: str) -> Iterator[Addresses]:
    """Yield real servers, shared by the session."""
    with running_servers(bus) as addresses:
        yield addresses
