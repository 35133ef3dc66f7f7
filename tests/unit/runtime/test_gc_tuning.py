"""Settings of Python's collector, which still finds what nobody holds."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from winnow.runtime.gc_tuning import freeze_after_startup, rare_collections


class Node:
    """Holds itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def collector() -> Iterator[None]:
    """Look at everything first, as a service that starts does; leave out afterwards what is there."""
    before = gc.get_threshold()
    gc.unfreeze()
    yield
    gc.freeze()
    gc.set_threshold(*before)


@pytest.mark.usefixtures("collector")
def test_what_was_there_at_the_start_is_walked_no_more() -> None:
    stays = Node()
    freeze_after_startup()
    assert gc.get_freeze_count() > 10_000
    assert not any(tracked is stays for tracked in gc.get_objects())


@pytest.mark.usefixtures("collector")
def test_cycles_left_later_are_still_found_without_being_asked_for() -> None:
    freeze_after_startup()
    collected: list[weakref.ref[Node]] = []
    # Asking the reference would hold the node in the moments in which Python 3.12 and newer collect.
    lost = weakref.ref(Node(), collected.append)
    garbage: list[list[object]] = []
    while not collected and len(garbage) < 1_000_000:
        garbage.append([])
    assert collected == [lost]


def test_the_collector_is_as_it_was_afterwards() -> None:
    before = gc.get_threshold()
    with rare_collections():
        assert gc.get_threshold() != before
    assert gc.get_threshold() == before
