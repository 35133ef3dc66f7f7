"""Plays the seeds in processes of their own while the other tests run, on the time that those leave over."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import ExitStack

import pytest

from tests.simulation.many import SEEDS, Part, played

_ENDS = pytest.StashKey[ExitStack]()
_PARTS = pytest.StashKey[dict[int, Future[Part]]]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin with the seeds, unless no test will ask for them."""
    asks = any(item.get_closest_marker("meanwhile") for item in session.items)
    # One of several processes that share the tests out does not know yet whether it is the one that asks.
    is_shared = hasattr(session.config, "workerinput") or session.config.getoption("numprocesses", None)
    if asks and not is_shared and not session.config.option.collectonly:
        _begin(session.config, idly=True)


def _begin(config: pytest.Config, *, idly: bool) -> None:
    ends = config.stash[_ENDS] = ExitStack()
    config.stash[_PARTS] = ends.enter_context(played(0, SEEDS, idly=idly))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Play no more."""
    if _ENDS in session.config.stash:
        session.config.stash[_ENDS].close()


@pytest.fixture(scope="session")
def parts(request: pytest.FixtureRequest) -> dict[int, Future[Part]]:
    """Return what becomes of the seeds, in parts by the first seed."""
    if _PARTS not in request.config.stash:
        _begin(request.config, idly=False)
    return request.config.stash[_PARTS]
