"""A router with many queued tasks: memory, how long it takes to read them, and the first start after it was killed.

The benchmark plays ingest and ledger on the topics; the provider is a simulator that holds every call, so that what is
queued stays queued.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import yaml
from aiokafka import AIOKafkaProducer
from rich.progress import Progress

from tests.bench.lean.world import lean_settings
from tests.bench.processes import cpu_s, peak_mib
from tests.bench.report import Report
from tests.support.servers import buses
from tests.support.servers.stack import running_stack
from tests.unit.router.builders import accepted
from winnow.adapters.object_store import ObjectStore
from winnow.adapters.topics import apply_topics
from winnow.contracts.envelope import CONTENT_TYPE, Envelope, RecordedMessage
from winnow.contracts.events import TaskFunded
from winnow.contracts.ids import Prefix, derive_id, shard_of
from winnow.contracts.topics import TASKS
from winnow.contracts.values import Mode, StoredObject, TemplateRef
from winnow.local.ports import choose
from winnow.local.stack import Addresses, EmbeddedStack
from winnow.runtime.clock import SystemClock

SHARDS = 4
BUCKET = "winnow-private"
ACCOUNTS = 500
_WITHIN_S = 1800.0
_HELD_S = 3600.0
"""Longer than the benchmark: a call that ended would be missing from what waits and what is out."""


@contextmanager
def running(argv: list[str], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process, killed with the block."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *argv], env=os.environ | env, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def provider_profile(folder: Path) -> str:
    """Write a provider that holds each call."""
    path = folder / "holding.yaml"
    path.write_text(
        yaml.safe_dump(
            {"provider": "openai", "price_usd_micro": 3000, "concurrency": 1024, "latency_median_s": _HELD_S}
        )
    )
    return str(path)


def patient_settings(folder: Path) -> dict[str, str]:
    """Return the lean router's settings, with an offering that may take as long as a call is held."""
    settings = lean_settings(folder)["router"]
    path = Path(settings["CATALOGUE_FOLDER"]) / "offerings.yaml"
    document = yaml.safe_load(path.read_text())
    for offering in document["offerings"]:
        offering["limits"] |= {"read_timeout_s": 2 * _HELD_S, "total_timeout_s": 2 * _HELD_S}
    path.write_text(yaml.safe_dump(document))
    return settings


def router_env(stack: EmbeddedStack, ports: dict[str, int], folder: Path) -> dict[str, str]:
    """Return the router's settings."""
    at = stack.addresses
    settings = patient_settings(folder) | {
        "KAFKA_BOOTSTRAP": at.kafka_bootstrap,
        "IDEMPOTENT_PRODUCER": "false",
        "FETCH_MAX_WAIT_MS": "5",
        "SESSION_TIMEOUT_MS": "6000",
        "SHARDS": str(SHARDS),
        "MONGO_URI": at.mongo_uri,
        "S3_ENDPOINT": at.s3_endpoint,
        "S3_ACCESS_KEY": at.s3_access_key,
        "S3_SECRET_KEY": at.s3_secret_key,
        "OPS_PORT": str(ports["ops"]),
        "GRPC_PORT": str(ports["grpc"]),
        "OPENAI_BASE_URL": f"http://127.0.0.1:{ports['openai']}/v1",
        "OPENAI_KEY": "simulated",
    }
    return {f"WINNOW_ROUTER_{name}": value for name, value in settings.items()}


async def queue_tasks(at: Addresses, count: int) -> None:
    """Publish what ingest and ledger would: accepted and funded tasks of many accounts."""
    deadline = SystemClock().now() + timedelta(days=1)
    producer = AIOKafkaProducer(
        bootstrap_servers=at.kafka_bootstrap, acks="all", enable_idempotence=False, max_batch_size=256 * 1024
    )
    request = await _request(at)
    await producer.start()
    try:
        with Progress() as progress:
            shown = progress.add_task("queueing", total=count)
            for start in range(0, count, 500):
                sends = []
                for number in range(start, min(count, start + 500)):
                    order = accepted(
                        number,
                        account_id=f"acct_{number % ACCOUNTS}",
                        template=TemplateRef(name="product_shot", version=1),
                        mode=Mode.low_cost,
                        deadline_at=deadline,
                        request=request,
                        k=1,
                        width=1024,
                        height=1024,
                    )
                    funded = TaskFunded(
                        task_id=order.task_id,
                        account_id=order.account_id,
                        reservation_id=order.reservation_id,
                        reserved_credits_micro=order.reserve_credits_micro,
                    )
                    for by, message in (("ingest", order), ("ledger", funded)):
                        sends.append(await _send(producer, by, message))
                await asyncio.gather(*sends)
                progress.update(shown, completed=min(count, start + 500))
    finally:
        await producer.stop()


async def _request(at: Addresses) -> StoredObject:
    """Store the one request that all tasks refer to."""
    body = json.dumps({"prompt": "product", "inputs": [], "parameters": {}}).encode()
    objects = ObjectStore(at.s3_endpoint, "us-east-1", at.s3_access_key, at.s3_secret_key)
    try:
        await objects.put(BUCKET, "requests/bench.json", body, "application/json")
    finally:
        await objects.close()
    sha256 = hashlib.sha256(body).hexdigest()
    return StoredObject(
        bucket=BUCKET,
        key="requests/bench.json",
        sha256=sha256,
        size_bytes=len(body),
        content_type="application/json",
    )


async def _send(producer: AIOKafkaProducer, by: str, message: Any) -> asyncio.Future[Any]:
    envelope = Envelope(
        event_id=derive_id(Prefix.event, by, message.type, message.task_id),
        occurred_at=SystemClock().now(),
        producer=by,
        subject=message.task_id,
        sequence=1,
        correlation_id="bench",
        causation_id="bench",
    )
    future: asyncio.Future[Any] = await producer.send(
        TASKS.name,
        RecordedMessage(envelope, message).encode(),
        key=message.task_id.encode(),
        partition=shard_of(message.task_id, SHARDS),
        headers=[("content-type", CONTENT_TYPE.encode()), ("type", message.type.encode())],
    )
    return future


async def until(url: str, wanted: Any) -> float:
    """Ask a page until ``wanted`` holds of its text; return the seconds that took."""
    started_s = time.perf_counter()
    async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
        while time.perf_counter() - started_s < _WITHIN_S:
            try:
                answer = await http.get(url)
                if answer.status_code == 200 and wanted(answer.text):
                    return time.perf_counter() - started_s
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
    raise TimeoutError(url)


def gauge(text: str, name: str) -> float:
    """Read a sample of the metrics page; 0 when it is absent."""
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


def calls(text: str) -> int:
    """Count the calls that the provider has on its books."""
    return len(json.loads(text)["lines"])


def measure(stack: EmbeddedStack, folder: Path, tasks: int, report: Report) -> None:
    """Queue, read, kill, start again."""
    ports = choose(["ops", "grpc", "openai"], {})
    metrics, ready = (f"http://127.0.0.1:{ports['ops']}/{path}" for path in ("metrics", "readyz"))
    ledger = f"http://127.0.0.1:{ports['openai']}/_ledger"
    asyncio.run(apply_topics(stack.addresses.kafka_bootstrap, shards=SHARDS, replicas=1))
    asyncio.run(queue_tasks(stack.addresses, tasks))
    simulator = ["-m", "simulators.main", "--provider", "openai", "--port", str(ports["openai"])]
    simulator += ["--profile", provider_profile(folder)]
    env = router_env(stack, ports, folder)
    in_flight = lambda text: gauge(text, "winnow_router_attempts_in_flight")  # noqa: E731
    queued = lambda text: gauge(text, "winnow_router_waiting_calls")  # noqa: E731
    with running(simulator, {}, folder / "simulator.log"):
        asyncio.run(until(f"http://127.0.0.1:{ports['openai']}/readyz", bool))
        with running(["-m", "services.router.main"], env, folder / "router.log") as router:
            took_s = asyncio.run(until(metrics, lambda text: queued(text) + in_flight(text) >= tasks))
            report.add("tasks read into the queue", tasks / took_s, "tasks/s")
            report.add(
                "CPU of the router meanwhile", cpu_s({"r": router.pid})["r"] / tasks * 1e6, "us a task"
            )
            report.add("peak memory of the router", peak_mib(router.pid), "MiB")
            report.add("peak memory, each task", peak_mib(router.pid) * 1024 / tasks, "KiB")
        before = calls(httpx.get(ledger, trust_env=False).text)
        with running(["-m", "services.router.main"], env, folder / "router.log") as router:
            report.add("killed, then ready", asyncio.run(until(ready, bool)), "s")
            report.add(
                "and from there to the first new call",
                asyncio.run(until(ledger, lambda text: calls(text) > before)),
                "s",
            )
            report.add("peak memory after the restart", peak_mib(router.pid), "MiB")


def main() -> None:
    """Start the servers, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--bus", choices=(buses.TANSU, buses.KAFKA), default=buses.TANSU)
    given = parser.parse_args()
    report = Report("backlog" if given.bus == buses.TANSU else f"backlog-{given.bus}")
    with running_stack(given.bus) as stack, tempfile.TemporaryDirectory() as folder:
        measure(stack, Path(folder), given.tasks, report)
    report.close()


if __name__ == "__main__":
    main()
