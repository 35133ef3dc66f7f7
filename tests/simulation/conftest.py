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
    if asks and not session.config.option.collectonly:
        ends = session.config.stash[_ENDS] = ExitStack()
        session.config.stash[_PARTS] = ends.enter_context(played(0, SEEDS, idly=True))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Play no more."""
    if _ENDS in session.config.stash:
        session.config.stash[_ENDS].close()


@pytest.fixture(scope="session")
def parts(request: pytest.FixtureRequest) -> dict[int, Future[Part]]:
    """Give what becomes of the seeds, in parts by the first seed."""
    return request.config.stash[_PARTS]
