"""The faults, one row each: what is done before the load, under it, and to end it."""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import Sequence
from functools import partial

from PIL import Image

from tests.chaos import front, poison
from tests.chaos.proxy import Weather
from tests.chaos.row import Row
from tests.chaos.world import BUS, DOCUMENTS, OBJECTS, SERVICES, World
from tests.support.line import PROVIDERS


def crash(service: str, point: str, nth: int = 1) -> Row:
    """Kill a service at a named point under load, and start it again."""

    async def arm(world: World) -> None:
        await world.start_service(service, f"{point}:{nth}")

    async def recover(world: World) -> None:
        await world.died(service)
        await world.start_service(service)

    return Row(f"{service}: SIGKILL at {point}:{nth}", _MATRIX[service], recover=recover, arm=arm)


_MATRIX = {"ingest": "1", "ledger": "2", "router": "3", "scorer": "4", "delivery": "5"}
_JOURNAL_POINTS = ("before_insert", "after_insert", "after_publish", "before_commit", "after_commit")
CRASHES = (
    *(crash(service, point, 3) for service in ("ingest", "ledger", "router", "delivery") for point in _JOURNAL_POINTS),
    crash("scorer", "before_commit", 2),
    crash("scorer", "after_commit", 2),
    *(crash("router", point, 3) for point in (
        "before_provider_call", "after_provider_call", "before_candidates_kept", "after_candidates_kept")),
    crash("delivery", "before_webhook", 2),
    crash("delivery", "after_webhook", 2),
)  # fmt: skip


async def _kill_all(world: World) -> None:
    for service in SERVICES:
        await world.kill(service)


async def _start_all(world: World) -> None:
    await asyncio.gather(*(world.start_service(one) for one in SERVICES))


async def _restart_each(world: World) -> None:
    for service in SERVICES:
        await world.start_service(service)


async def _kill(name: str, world: World) -> None:
    await world.kill(name)


async def _start(name: str, world: World) -> None:
    await world.start_server(name)


async def _start_service(name: str, world: World) -> None:
    await world.start_service(name)


async def _stop(name: str, world: World) -> None:
    await world.stop_server(name)


async def _freeze(name: str, seconds: float, world: World) -> None:
    world.freeze(name)
    await asyncio.sleep(seconds)


async def _thaw(name: str, world: World) -> None:
    world.thaw(name)


async def _weather(proxy: str, weather: Weather, seconds: float, world: World) -> None:
    world.proxies[proxy].set(weather)
    await asyncio.sleep(seconds)


async def _clear(world: World) -> None:
    await world.clear()


PROCESSES = (
    Row("scorer: SIGKILL under load", "4", partial(_kill, "scorer"), partial(_start_service, "scorer")),
    Row("all five: SIGKILL at once", "1-5", _kill_all, _start_all),
    Row("all five: SIGTERM one by one, under load", "6", _restart_each),
)
SERVERS = (
    Row("bus: SIGTERM and restart", "7", partial(_stop, BUS), partial(_start, BUS), needs_kept_topics=True),
    Row("bus: SIGKILL and restart", "7", partial(_kill, BUS), partial(_start, BUS), needs_kept_topics=True),
    Row("bus: SIGSTOP for 8 s", "7", partial(_freeze, BUS, 8.0), partial(_thaw, BUS)),
    Row("database: SIGKILL and restart", "9", partial(_kill, DOCUMENTS), partial(_start, DOCUMENTS)),
    Row("database: SIGSTOP for 8 s", "9", partial(_freeze, DOCUMENTS, 8.0), partial(_thaw, DOCUMENTS)),
    Row("database: every answer 0.3 s late", "9", partial(_weather, "documents", Weather(delay_s=0.15), 10.0), _clear),
    Row("database: connections cut and refused for 5 s", "9", partial(_weather, "documents", Weather(refuses=True), 5.0), _clear),
    Row("object store: down for 6 s", "10", partial(_weather, "objects", Weather(refuses=True), 6.0), _clear),
    Row("object store: SIGKILL and restart", "10", partial(_kill, OBJECTS), partial(_start, OBJECTS)),
    Row("object store: every piece 0.5 s late", "10", partial(_weather, "objects", Weather(delay_s=0.5), 10.0), _clear),
    Row("object store: black hole for 8 s", "10", partial(_weather, "objects", Weather(swallows=True), 8.0), _clear),
    Row("object store: answers truncated for 5 s", "10", partial(_weather, "objects", Weather(cut_after_bytes=3000), 5.0), _clear),
)  # fmt: skip


async def _levers(levers: dict[str, object], providers: Sequence[str], world: World) -> None:
    for provider in providers:
        await world.control(provider, **levers)


async def _spoil(spoil: front.Spoil, providers: Sequence[str], world: World) -> None:
    for provider in providers:
        world.fronts[provider].spoil = spoil
    await asyncio.sleep(8.0)


def _bomb() -> bytes:
    """Make a picture of 14,000 x 14,000 pixels in some 24 KB."""
    out = io.BytesIO()
    Image.new("1", (14_000, 14_000)).save(out, "PNG", optimize=True)
    return out.getvalue()


def lever(name: str, matrix: str, providers: Sequence[str] = PROVIDERS, **levers: object) -> Row:
    """Pull a simulator's levers before the load."""
    return Row(name, matrix, arm=partial(_levers, levers, providers), recover=_clear, all_delivered=False)


def spoilt(
    name: str, matrix: str, spoil: front.Spoil, providers: Sequence[str] = ("fal", "replicate")
) -> Row:
    """Spoil two providers' answers for 8 s under load; the third stays whole."""
    return Row(name, matrix, inject=partial(_spoil, spoil, providers), recover=_clear, all_delivered=False)


PROVIDER = (
    lever("provider: hangs", "11", hang_next=4),
    spoilt("provider: drips a byte each 0.5 s", "11", front.on_answers(front.dripping)),
    lever("provider: 503", "12", error_next=6),
    lever("provider: 429 with Retry-After", "12", too_many_next=6),
    lever("provider: 429 without Retry-After", "12", too_many_next=6, retry_after_form="none"),
    lever("provider: takes the order, loses the answer", "12", lost_reply_next=3),
    lever("provider: outage of two", "12", providers=("fal", "replicate"), outage=True),
    spoilt("provider: half a JSON", "13", front.on_answers(front.halved)),
    spoilt("provider: JSON of another shape", "13", front.on_answers(front.with_body(b'[{"id": 7}, null]'))),
    spoilt(
        "provider: an error in a 200", "13", front.on_answers(front.with_body(b'{"error": {"code": 500}}'))
    ),
    spoilt("provider: half a picture", "14", front.on_files(front.halved)),
    spoilt("provider: fewer bytes than promised", "14", front.on_files(front.short)),
    spoilt("provider: an empty picture", "14", front.on_files(front.with_body(b""))),
    spoilt("provider: HTML as a picture", "14", front.on_files(front.with_body(b"<html>sorry</html>"))),
    spoilt("provider: a pixel bomb", "15", front.on_files(front.with_body(_bomb()))),
)
BUS_FAULTS = (
    Row(
        "bus: every record again three times, shuffled",
        "17",
        recover=partial(poison.repeat_all, random.Random(7)),
    ),
    Row("bus: poison in every topic", "18", inject=poison.poison_all),
)
RECEIVER = (
    lever("receiver: 500", "24", providers=("receiver",), fail_next=4, fail_status=500),
    lever("receiver: 429 with Retry-After", "24", providers=("receiver",), fail_next=3, fail_status=429, retry_after_s=1),
    lever("receiver: hangs", "24", providers=("receiver",), hang_next=3),
    lever("receiver: redirects", "24", providers=("receiver",), redirect_next=3),
    lever("receiver: drops the connection", "24", providers=("receiver",), drop_next=4),
)  # fmt: skip


async def _disk_full(name: str, world: World) -> None:
    world.limit_files(name, 4096)
    await asyncio.sleep(5.0)


async def _disk_freed(name: str, world: World) -> None:
    process = world.process(name)
    if process.exit_code is None:
        world.limit_files(name, None)
    else:
        world.notes["disk"] = f"{name} ended with {process.exit_code}"
    # A store that could not write is started again: what it holds in memory is not to be trusted.
    await world.stop_server(name)
    await world.start_server(name)


DISK = (
    Row("disk full: database", "22", partial(_disk_full, DOCUMENTS), partial(_disk_freed, DOCUMENTS)),
    Row("disk full: object store", "22", partial(_disk_full, OBJECTS), partial(_disk_freed, OBJECTS)),
)
ROWS: tuple[Row, ...] = (*CRASHES, *PROCESSES, *SERVERS, *PROVIDER, *BUS_FAULTS, *RECEIVER, *DISK)
