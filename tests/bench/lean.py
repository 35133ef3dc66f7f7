"""The line with as little work in it as it can have: one tiny picture an order, which is only decoded.

What is left is what Winnow itself costs: acceptance, ledger, routing, verdict, delivery, journals and bus.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml

from tests.bench.processes import counters, cpu_s, listener, peak_mib
from tests.bench.report import Report, samples_for
from tests.support import buses
from tests.support.line import Client, RunningLine, running_line
from winnow.local.line import SERVICES
from winnow.templates import TEMPLATES_FOLDER

SIDE_PX: Final = 128
_CATALOGUE: Final = Path("services/router/catalogue")
_PROFILES: Final = Path("services/scorer/profiles")
_PROVIDER: Final = "openai"
"""Answers in one call with the picture inside, which is the least a provider can ask of the router."""
ORDER: Final = {"template": "product_shot", "mode": "low_cost", "k": 1, "prompt": "product"}
_IDLE_ORDERS: Final = samples_for(99)
_IDLE_S: Final = 5.0
_LOOK_EVERY_S: Final = 0.1
_WARM_UP: Final = 50
_WAIT_IDLE_MS: Final = "20"
_WAIT_LOAD_MS: Final = "50"
"""The broker polls a waiting fetch, so a short wait costs CPU that has nothing to do with the tasks."""
_BROKERS: Final = {buses.TANSU: "Tansu", buses.KAFKA: "Apache Kafka"}
CREDITS: Final = 1_000_000


def lean_settings(folder: Path) -> dict[str, dict[str, str]]:
    """Write a catalogue of one certain offering and profiles that only ask for a picture; return the settings."""
    catalogue, profiles, templates = folder / "catalogue", folder / "profiles", folder / "templates"
    catalogue.mkdir()
    profiles.mkdir()
    document = yaml.safe_load((_CATALOGUE / "simulated.yaml").read_text())
    offering = next(listed for listed in document["offerings"] if listed["provider"] == _PROVIDER)
    offering |= {
        "concurrency_limit": 128,
        "pass_prior_ppm": {"product_shot": 1_000_000, "studio_headshot": 1_000_000},
        "success_prior_ppm": 1_000_000,
        "pinned_for": [],
    }
    (catalogue / "offerings.yaml").write_text(yaml.safe_dump({"offerings": [offering]}))
    templates.mkdir()
    for path in TEMPLATES_FOLDER.glob("*.yaml"):
        template = yaml.safe_load(path.read_text())
        template["rounds"]["pass_rate_prior_ppm"] = 1_000_000
        del template["modes"]["stable"]
        (templates / path.name).write_text(yaml.safe_dump(template))
    for path in _PROFILES.glob("*.yaml"):
        shipped = yaml.safe_load(path.read_text())
        profile = {
            "name": shipped["name"],
            "version": shipped["version"],
            "dimensions": [{"name": "decodable", "tier": 1, "mapping": {"exactly": 1}}],
        }
        (profiles / path.name).write_text(yaml.safe_dump(profile))
    return {
        "ingest": {"RATE_PER_SECOND": "100000", "RATE_BURST_COUNT": "1000000"},
        "router": {
            "CATALOGUE_FOLDER": str(catalogue),
            "TEMPLATES_FOLDER": str(templates),
            "ATTEMPTS_MAX": "256",
        },
        "scorer": {"PROFILES_DIR": str(profiles), "PROCESSES": "1"},
    }


def lean_profiles(folder: Path) -> dict[str, str]:
    """Write a profile of a provider that answers at once with tiny pictures."""
    profile = {
        "provider": _PROVIDER,
        "price_usd_micro": 3000,
        "concurrency": 1024,
        "pool_size": 32,
        "pool_side_px": SIDE_PX,
        "files_kept": 1000,
        "truth_kept": 1000,
    }
    path = folder / "instant-tiny.yaml"
    path.write_text(yaml.safe_dump(profile))
    return {_PROVIDER: str(path), "fal": "flawless-fal", "replicate": "flawless-replicate"}


async def place(client: Client, count: int, at_once: int) -> list[float]:
    """Place orders from ``at_once`` connections; return how long each acceptance took, in ms."""
    waits_ms: list[float] = []
    numbers = iter(range(count))
    authorization = {"authorization": client.http.headers["authorization"]}
    base_url = str(client.http.base_url).rstrip("/")
    async with aiohttp.ClientSession(headers=authorization) as http:

        async def connection() -> None:
            for number in numbers:
                headers = {"idempotency-key": f"lean-{time.monotonic_ns()}-{number}"}
                started = time.perf_counter()
                async with http.post(f"{base_url}/v1/tasks", json=ORDER, headers=headers) as answer:
                    assert answer.status == 202, await answer.text()
                    await answer.read()
                waits_ms.append((time.perf_counter() - started) * 1000)

        await asyncio.gather(*(connection() for _ in range(at_once)))
    return waits_ms


async def settled(client: Client, orders: int) -> None:
    """Wait until the account has paid for ``orders`` deliveries, then until the read model shows every end."""
    price = (await client.get("/v1/tasks", limit=1))["tasks"][0]["price_per_output_credits_micro"]
    while (account := await client.balance())["settled_credits_micro"] < orders * price:
        await asyncio.sleep(0.2)
    assert account["held_credits_micro"] == 0, account
    while not all(task["complete"] for task in (await client.get("/v1/tasks", limit=100))["tasks"]):
        await asyncio.sleep(0.2)
    while (ended := await states(client)) != Counter(delivered=orders):
        assert ended.total() <= orders, ended
        await asyncio.sleep(0.5)


async def states(client: Client) -> Counter[str]:
    """Count the account's tasks by state."""
    found: Counter[str] = Counter()
    cursor: dict[str, Any] = {}
    while True:
        page = await client.get("/v1/tasks", limit=100, **cursor)
        found.update(task["state"] for task in page["tasks"])
        if not page["next_cursor"]:
            return found
        cursor = {"cursor": page["next_cursor"]}


async def idle_ms(client: Client) -> tuple[list[float], list[float]]:
    """Order one by one; return accepted → delivered by the record's own times, and order → bill as a client sees it.

    The client follows the task's stream of events, as one who waits should: asking again and again costs the
    database more than the order does.
    """
    delivered: list[float] = []
    billed: list[float] = []
    for _ in range(_IDLE_ORDERS):
        started = time.perf_counter()
        task_id = await client.order(**ORDER)
        async with client.http.stream("GET", f"/v1/tasks/{task_id}/events") as events:
            async for _ in events.aiter_lines():
                pass
        billed.append((time.perf_counter() - started) * 1000)
        while not (task := await client.task(task_id))["complete"]:
            await asyncio.sleep(_LOOK_EVERY_S)
        from_at, to_at = (
            datetime.fromisoformat(moment) for moment in (task["created_at"], task["end"]["at"])
        )
        delivered.append((to_at - from_at).total_seconds() * 1000)
    return delivered, billed


async def measure_idle(line: RunningLine, report: Report) -> None:
    """Place orders one by one and note how long they take, and what the processes spend when nothing happens."""
    processes = _pids(line)
    resting = cpu_s(processes)
    await asyncio.sleep(_IDLE_S)
    spent = {name: (now - resting[name]) * 100 / _IDLE_S for name, now in cpu_s(processes).items()}
    async with line.client(credit_count=CREDITS) as client:
        await place(client, _WARM_UP, 8)
        await settled(client, _WARM_UP)
        delivered_ms, billed_ms = await idle_ms(client)
    report.add_waits("accepted to delivered, idle", delivered_ms, p50_at_most=30, p99_at_most=80)
    report.add_waits("order to bill, idle", billed_ms)
    for name, share in spent.items():
        report.add(f"CPU of {name} at rest", share, "% of a core")


async def measure_load(line: RunningLine, orders: int, at_once: int, report: Report) -> None:
    """Place many orders at once and note what one costs."""
    processes = _pids(line)
    async with line.client(credit_count=CREDITS) as client:
        await place(client, _WARM_UP, 8)
        await settled(client, _WARM_UP)
        before, cpu_before = await counters(line), cpu_s(processes)
        started = time.perf_counter()
        waits_ms = await place(client, orders, at_once)
        accepted_s = time.perf_counter() - started
        await settled(client, _WARM_UP + orders)
        took_s = time.perf_counter() - started
        after, cpu_after = await counters(line), cpu_s(processes)
    spent = {name: (cpu_after[name] - cpu_before[name]) * 1000 / orders for name in processes}
    counted = sum(cost for name, cost in spent.items() if name in (*SERVICES, *_BROKERS.values()))
    report.add("CPU of the five services and the broker", counted, "ms per task", at_most=2.0)
    report.add("the same, against the floor of 0.3 ms", counted / 0.3, "times")
    report.add(f"end to end, {orders} orders of K=1, N=1", orders / took_s, "tasks/s")
    report.add(f"accepted, {at_once} at once", orders / accepted_s, "tasks/s")
    for name in after:
        report.add(name.removeprefix("winnow_"), (after[name] - before[name]) / orders, "per task")
    report.add_waits(f"acceptance, {at_once} at once", waits_ms)
    for name, pid in processes.items():
        report.add(f"CPU of {name}", spent[name], "ms per task")
        report.add(f"peak memory of {name}", peak_mib(pid), "MiB")


def _pids(line: RunningLine) -> dict[str, int]:
    services = {
        process.name: process.pid for process in line.supervisor.processes if process.name in SERVICES
    }
    servers = {process.name: process.pid for process in line.stack.processes}
    if _BROKERS[buses.TANSU] not in servers:
        port = int(line.stack.addresses.kafka_bootstrap.rpartition(":")[2])
        servers[_BROKERS[buses.KAFKA]] = listener(port)
    return services | servers


def lean(orders: int, at_once: int, bus: str = buses.TANSU) -> None:
    """Measure at rest, then a second line under load.

    On Tansu a fetch waits as short as can be at rest, and longer under load, so that it polls less; Apache Kafka answers
    a waiting fetch when something comes, so its wait is the services' own.
    """
    report = Report("lean" if bus == buses.TANSU else f"lean-{bus}")
    for wait_ms in (_WAIT_IDLE_MS, _WAIT_LOAD_MS):
        with tempfile.TemporaryDirectory() as folder:
            settings = lean_settings(Path(folder))
            if bus == buses.TANSU:
                for service in SERVICES:
                    settings.setdefault(service, {})["FETCH_MAX_WAIT_MS"] = wait_ms
            with running_line(profiles=lean_profiles(Path(folder)), settings=settings, bus=bus) as line:
                if wait_ms == _WAIT_IDLE_MS:
                    asyncio.run(measure_idle(line, report))
                else:
                    asyncio.run(measure_load(line, orders, at_once, report))
    report.close()
