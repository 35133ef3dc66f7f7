"""The faults, one scenario each: what is done before the load, under it, and to end it."""

from __future__ import annotations

import asyncio
from functools import partial

from tests.chaos.bus_scenarios import BUS_FAULTS
from tests.chaos.client_scenarios import CLIENT
from tests.chaos.loss_scenarios import LOSSES
from tests.chaos.outside_scenarios import PROVIDER, RECEIVER
from tests.chaos.proxy import Weather
from tests.chaos.scenario import Scenario
from tests.chaos.world import BUS, DOCUMENTS, OBJECTS, SERVICES, ChaosWorld


def crash(service: str, point: str, nth: int = 1) -> Scenario:
    """Kill a service at a named point under load, and start it again."""

    async def arm(world: ChaosWorld) -> None:
        await world.start_service(service, f"{point}:{nth}")

    async def recover(world: ChaosWorld) -> None:
        await world.died(service)
        await world.start_service(service)

    return Scenario(f"{service}: SIGKILL at {point}:{nth}", _MATRIX[service], recover=recover, arm=arm)


_MATRIX = {"ingest": "1", "ledger": "2", "router": "3", "scorer": "4", "delivery": "5"}
_JOURNAL_POINTS = ("before_insert", "after_insert", "after_publish", "before_commit", "after_commit")
CRASHES = (
    *(crash(service, point, 3) for service in ("ingest", "ledger", "router", "delivery") for point in _JOURNAL_POINTS),
    crash("scorer", "before_commit", 2),
    crash("scorer", "after_commit", 2),
    *(crash("router", point, 3) for point in (
        "after_follow_up", "before_provider_call", "after_provider_call", "before_candidates_kept", "after_candidates_kept")),
    crash("delivery", "before_outputs_stored", 2),
    crash("delivery", "after_outputs_stored", 2),
    crash("delivery", "before_webhook", 2),
    crash("delivery", "after_webhook", 2),
)  # fmt: skip


async def _kill_all(world: ChaosWorld) -> None:
    for service in SERVICES:
        await world.kill(service)


async def _start_all(world: ChaosWorld) -> None:
    await asyncio.gather(*(world.start_service(service) for service in SERVICES))


async def _restart_each(world: ChaosWorld) -> None:
    for service in SERVICES:
        await world.start_service(service)


async def _kill(name: str, world: ChaosWorld) -> None:
    await world.kill(name)


async def _start(name: str, world: ChaosWorld) -> None:
    await world.start_server(name)


async def _start_service(name: str, world: ChaosWorld) -> None:
    await world.start_service(name)


async def _stop(name: str, world: ChaosWorld) -> None:
    await world.stop_server(name)


async def _freeze(name: str, seconds: float, world: ChaosWorld) -> None:
    world.freeze(name)
    await asyncio.sleep(seconds)


async def _thaw(name: str, world: ChaosWorld) -> None:
    world.thaw(name)


async def _weather(proxy: str, weather: Weather, seconds: float, world: ChaosWorld) -> None:
    world.proxies[proxy].set(weather)
    await asyncio.sleep(seconds)


async def _clear(world: ChaosWorld) -> None:
    await world.clear()


PROCESSES = (
    Scenario("scorer: SIGKILL under load", "4", partial(_kill, "scorer"), partial(_start_service, "scorer")),
    Scenario("all five: SIGKILL at once", "1-5", _kill_all, _start_all),
    Scenario("all five: SIGTERM one by one, under load", "6", _restart_each),
)
SERVERS = (
    Scenario("bus: SIGTERM and restart", "7", partial(_stop, BUS), partial(_start, BUS), needs_kept_topics=True),
    Scenario("bus: SIGKILL and restart", "7", partial(_kill, BUS), partial(_start, BUS), needs_kept_topics=True),
    Scenario("bus: SIGSTOP for 8 s", "7", partial(_freeze, BUS, 8.0), partial(_thaw, BUS)),
    Scenario("database: SIGKILL and restart", "9", partial(_kill, DOCUMENTS), partial(_start, DOCUMENTS)),
    Scenario("database: SIGSTOP for 8 s", "9", partial(_freeze, DOCUMENTS, 8.0), partial(_thaw, DOCUMENTS)),
    Scenario("database: every answer 0.3 s late", "9", partial(_weather, "documents", Weather(delay_s=0.15), 10.0), _clear),
    Scenario("database: connections cut and refused for 5 s", "9", partial(_weather, "documents", Weather(refuses=True), 5.0), _clear),
    Scenario("object store: down for 6 s", "10", partial(_weather, "objects", Weather(refuses=True), 6.0), _clear),
    Scenario("object store: down for 40 s", "10", partial(_weather, "objects", Weather(refuses=True), 40.0), _clear),
    Scenario("object store: SIGKILL and restart", "10", partial(_kill, OBJECTS), partial(_start, OBJECTS)),
    Scenario("object store: every piece 0.5 s late", "10", partial(_weather, "objects", Weather(delay_s=0.5), 10.0), _clear),
    Scenario("object store: black hole for 8 s", "10", partial(_weather, "objects", Weather(swallows=True), 8.0), _clear),
    Scenario("object store: answers truncated for 5 s", "10", partial(_weather, "objects", Weather(cut_after_bytes=3000), 5.0), _clear),
)  # fmt: skip


async def _disk_full(name: str, world: ChaosWorld) -> None:
    world.limit_files(name, 4096)
    await asyncio.sleep(5.0)


async def _disk_freed(name: str, world: ChaosWorld) -> None:
    process = world.process(name)
    if process.exit_code is None:
        world.limit_files(name, None)
    else:
        world.notes["disk"] = f"{name} ended with {process.exit_code}"
    # A store that could not write is started again: what it holds in memory is not to be trusted.
    await world.stop_server(name)
    await world.start_server(name)


async def _no_logs(world: ChaosWorld) -> None:
    """Let no service write a line more to its log, as on a full log volume."""
    for service in SERVICES:
        world.limit_files(service, 1)
    await asyncio.sleep(5.0)


async def _logs_again(world: ChaosWorld) -> None:
    for service in SERVICES:
        world.limit_files(service, None)


DISK = (
    Scenario("disk full: the services' logs and temporary files", "22", _no_logs, _logs_again),
    Scenario("disk full: database", "22", partial(_disk_full, DOCUMENTS), partial(_disk_freed, DOCUMENTS)),
    Scenario("disk full: object store", "22", partial(_disk_full, OBJECTS), partial(_disk_freed, OBJECTS)),
)
SCENARIOS: tuple[Scenario, ...] = (
    *CRASHES,
    *PROCESSES,
    *SERVERS,
    *PROVIDER,
    *BUS_FAULTS,
    *LOSSES,
    *RECEIVER,
    *CLIENT,
    *DISK,
)
