"""The lease on a service's stores, on the real database: many may serve, one may rebuild, never both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest

from tests.support.clock import SetClock
from winnow.adapters.leases import Purpose, StoreLease
from winnow.adapters.mongo import Mongo
from winnow.contracts.errors import Unavailable
from winnow.local.stack import Addresses
from winnow.runtime.lease import LEASE_S

pytestmark = pytest.mark.one_bus

_NUMBERS = count()


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def database(servers: Addresses) -> AsyncIterator[Any]:
    mongo = Mongo(servers.mongo_uri, f"test_leases_{next(_NUMBERS)}")
    yield mongo.database
    await mongo.database.client.drop_database(mongo.database.name)
    mongo.close()


async def test_many_serve_and_nobody_rebuilds_meanwhile(database: Any, clock: SetClock) -> None:
    first, second = (StoreLease(database, clock, holder, Purpose.serving) for holder in ("a-1", "a-2"))
    await first.take()
    await second.take()
    rebuild = StoreLease(database, clock, "rebuild-1", Purpose.rebuilding)
    with pytest.raises(Unavailable, match=r"held by a-1 \(serving, until 2026-01-01T00:00:15\+00:00\), a-2"):
        await rebuild.take()
    await first.renew()
    await first.release()
    with pytest.raises(Unavailable, match="held by a-2"):
        await rebuild.take()
    await second.release()
    await rebuild.take()


async def test_nobody_serves_or_rebuilds_beside_a_rebuild(database: Any, clock: SetClock) -> None:
    rebuild = StoreLease(database, clock, "rebuild-1", Purpose.rebuilding)
    await rebuild.take()
    for late in (
        StoreLease(database, clock, "a-1", Purpose.serving),
        StoreLease(database, clock, "rebuild-2", Purpose.rebuilding),
    ):
        with pytest.raises(Unavailable, match="held by rebuild-1"):
            await late.take()
    await rebuild.renew()
    await rebuild.release()
    await StoreLease(database, clock, "a-1", Purpose.serving).take()


async def test_a_killed_holder_is_forgotten_when_its_lease_runs_out(database: Any, clock: SetClock) -> None:
    killed = StoreLease(database, clock, "a-1", Purpose.serving)
    await killed.take()
    clock.pass_s(10)
    await killed.renew()
    rebuild = StoreLease(database, clock, "rebuild-1", Purpose.rebuilding)
    clock.pass_s(LEASE_S - 1)
    with pytest.raises(Unavailable):
        await rebuild.take()
    clock.pass_s(1)
    await rebuild.take()


async def test_who_was_thought_dead_may_not_go_on_after_a_rebuild(database: Any, clock: SetClock) -> None:
    paused = StoreLease(database, clock, "a-1", Purpose.serving)
    await paused.take()
    clock.pass_s(LEASE_S + 1)
    rebuild = StoreLease(database, clock, "rebuild-1", Purpose.rebuilding)
    await rebuild.take()
    with pytest.raises(Unavailable, match="lost"):
        await paused.renew()
    await rebuild.release()
    with pytest.raises(Unavailable, match="lost"):
        await paused.renew()


async def test_a_lapse_that_nobody_used_is_no_loss(database: Any, clock: SetClock) -> None:
    paused = StoreLease(database, clock, "a-1", Purpose.serving)
    await paused.take()
    clock.pass_s(LEASE_S * 4)
    await paused.renew()
    with pytest.raises(Unavailable, match="held by a-1"):
        await StoreLease(database, clock, "rebuild-1", Purpose.rebuilding).take()


class _Interleaved:
    """A database in which somebody else comes between the first look and the write."""

    def __init__(self, leases: Any, between: Any) -> None:
        self._leases, self._between = leases, between

    def __getitem__(self, _: str) -> Any:
        return self

    def find(self, query: Any) -> Any:
        return self._leases.find(query)

    async def update_one(self, query: Any, change: Any, **options: Any) -> Any:
        between, self._between = self._between, None
        if between is not None:
            await between.take()
        return await self._leases.update_one(query, change, **options)

    async def delete_one(self, query: Any) -> Any:
        return await self._leases.delete_one(query)


@pytest.mark.parametrize("purpose", list(Purpose))
async def test_of_two_that_come_at_once_one_gives_way(
    database: Any, clock: SetClock, purpose: Purpose
) -> None:
    other = next(known for known in Purpose if known is not purpose)
    quick = StoreLease(database, clock, "quick", other)
    slow = StoreLease(_Interleaved(database["store_leases"], quick), clock, "slow", purpose)  # type: ignore[arg-type]
    with pytest.raises(Unavailable, match="held by quick"):
        await slow.take()
    assert [row["_id"] async for row in database["store_leases"].find()] == ["quick"]
