"""The running line behind proxies, with processes that can be killed, frozen, armed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import json
import os
import resource
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.chaos.front import Front, untouched
from tests.chaos.proxy import CLEAR, Proxy
from tests.support.eventually import eventually
from tests.support.servers import buses
from tests.support.servers.kafka.cluster import KafkaCluster
from tests.support.servers.line import PROVIDERS, Client, RunningLine, free_port
from winnow.adapters.topics import apply_topics
from winnow.local.line import SERVICES, SHARDS, Line, LineOptions
from winnow.local.ports import choose, listens
from winnow.local.process import Managed
from winnow.local.stack import Addresses, EmbeddedStack
from winnow.local.supervisor import Care, Supervisor

BUS, DOCUMENTS, OBJECTS = "bus", "SecantusDB", "SeaweedFS"
_CATALOGUE = Path(__file__).resolve().parents[2] / "services/router/catalogue"


class ProxiedStack(EmbeddedStack):
    """The embedded stack as the services are told of it: the stores behind proxies."""

    proxied: Mapping[str, Any] = {}

    @property
    def addresses(self) -> Addresses:
        """Return the proxies' addresses once there are any."""
        return dataclasses.replace(super().addresses, **self.proxied)


class ChaosWorld(RunningLine):
    """World that faults act on."""

    def __init__(
        self,
        line: Line,
        supervisor: Supervisor,
        stack: ProxiedStack,
        kafka: KafkaCluster | None,
        proxies: Mapping[str, Proxy],
        fronts: Mapping[str, Front],
        logs: Path,
    ) -> None:
        super().__init__(line, supervisor, stack)
        self.kafka = kafka
        self.proxies = proxies
        self.fronts = fronts
        self.logs = logs
        self.notes: dict[str, Any] = {}
        self.breaches: list[str] = []
        """What a step saw that should not be, beside what the checker finds."""
        self.promised: list[str] = []
        """The tasks that the scenario's client was promised so far; a step that orders more adds its own."""
        self.robbed: list[str] = []
        """The tasks whose selected pictures a step deleted before they were delivered."""
        self._customer: Client | None = None
        self._starts = itertools.count(1)

    @property
    def customer(self) -> Client:
        """The client of the scenario that is played."""
        assert self._customer is not None, "no row is played"
        return self._customer

    @customer.setter
    def customer(self, client: Client) -> None:
        self._customer = client

    def process(self, name: str) -> Managed:
        """Return the process of a service, a simulator or a server."""
        wanted = "Tansu" if name == BUS else name
        everyone = [*self.supervisor.processes, *self.stack.processes]
        return next(candidate for candidate in everyone if candidate.name == wanted)

    async def kill(self, name: str) -> None:
        """SIGKILL."""
        if name == BUS and self.kafka is not None:
            await asyncio.to_thread(self.kafka.kill, 1)
        else:
            await asyncio.to_thread(self.process(name).kill)

    async def start_service(self, name: str, crash_at: str = "") -> None:
        """End a service as an orchestrator does, if it runs, and start it anew; ``crash_at`` arms a failpoint."""
        old = self.process(name)
        await asyncio.to_thread(old.stop)
        self.supervisor.forget(old)
        # The supervisor keeps one log before the newest; a leak is looked for in all of them.
        old.log.replace(old.log.with_name(f"{old.log.name}.{next(self._starts)}-ended"))
        spec = self.line.service(name)
        if crash_at:
            spec = dataclasses.replace(spec, env={**spec.env, "WINNOW_CRASH_AT": crash_at})
        await asyncio.to_thread(self.supervisor.start, [[spec]])

    async def stop_service(self, name: str) -> None:
        """End a service as an orchestrator does."""
        await asyncio.to_thread(self.process(name).stop)

    async def start_second(self, name: str) -> None:
        """Start a second process of a service beside the first, as a rolling update does."""
        ports = choose(["ops", "grpc"], {})
        spec = self.line.service(name)
        prefix = f"WINNOW_{name.upper()}_"
        own = {f"{prefix}OPS_PORT": str(ports["ops"]), f"{prefix}GRPC_PORT": str(ports["grpc"])}
        env = {**spec.env, **own, f"{prefix}INSTANCE": "second"}
        url = f"http://127.0.0.1:{ports['ops']}/readyz"
        second = dataclasses.replace(spec, name=f"{name}-second", env=env, ready_url=url)
        await asyncio.to_thread(self.supervisor.start, [[second]])

    async def stop_second(self, name: str) -> None:
        """End it as an orchestrator does."""
        process = self.process(f"{name}-second")
        await asyncio.to_thread(process.stop)
        self.supervisor.forget(process)

    async def start_server(self, name: str) -> None:
        """Start a server again on its own data."""
        if name == BUS and self.kafka is not None:
            await asyncio.to_thread(self.kafka.launch, 1)
            await asyncio.to_thread(self.kafka.wait_listening, 1)
        else:
            await asyncio.to_thread(self.process(name).start)

    async def stop_server(self, name: str) -> None:
        """SIGTERM, and wait."""
        if name == BUS and self.kafka is not None:
            await asyncio.to_thread(self.kafka.terminate, 1)
        else:
            await asyncio.to_thread(self.process(name).stop)

    def freeze(self, name: str) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        if name == BUS and self.kafka is not None:
            self.kafka.freeze(1)
        else:
            os.kill(self.process(name).pid, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """SIGCONT."""
        if name == BUS and self.kafka is not None:
            self.kafka.thaw(1)
        else:
            os.kill(self.process(name).pid, signal.SIGCONT)

    async def died(self, name: str, within_s: float = 300) -> None:
        """Wait for a process to end by SIGKILL."""
        process = self.process(name)
        await eventually(lambda: process.exit_code == -signal.SIGKILL, within_s=within_s)

    def limit_files(self, name: str, bytes_max: int | None) -> None:
        """Let a running server write no file beyond a size, as a full disk would; None takes the limit back."""
        pid = self.process(name).pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if bytes_max is None else bytes_max, hard))

    async def clear(self) -> None:
        """End every fault: clear weather, honest providers, a willing receiver."""
        for proxy in self.proxies.values():
            proxy.set(CLEAR)
        for front in self.fronts.values():
            front.spoil = untouched
        await self.calm()
        await self.control("receiver", fail_next=0, hang_next=0, drop_next=0, redirect_next=0)

    def not_running(self) -> list[str]:
        """Name the processes that have ended."""
        everyone = [*self.supervisor.processes, *self.stack.processes]
        return [process.name for process in everyone if process.exit_code is not None]


async def _proxy(address: str) -> Proxy:
    """Stand in front of the server at an address, with or without a scheme."""
    return await Proxy(
        "127.0.0.1", urlsplit(address if "//" in address else f"//{address}").port or 0
    ).start()


def _advertise(stack: EmbeddedStack, port: int) -> None:
    """Start the bus anew, so that it names the proxy to its clients."""
    bus = next(process for process in stack.processes if process.name == "Tansu")
    bus.stop()
    bus.argv[bus.argv.index("--advertised-listener-url") + 1] = f"tcp://127.0.0.1:{port}"
    bus.start()
    bus.wait_ready(lambda: listens(bus.pid, stack.ports["kafka"]), 60.0)


def short_limits(folder: Path) -> None:
    """Write the simulators' catalogue with deadlines of seconds, so that a hanging provider costs seconds."""
    document = yaml.safe_load((_CATALOGUE / "simulated.yaml").read_text())
    for offering in document["offerings"]:
        offering["limits"] |= {"connect_timeout_s": 2, "read_timeout_s": 4, "total_timeout_s": 15}
    (folder / "offerings.yaml").write_text(yaml.safe_dump(document))


@contextlib.asynccontextmanager
async def running_world(bus: str, *, keeps_topics: bool) -> AsyncIterator[ChaosWorld]:
    """Run the line; Apache Kafka keeps its topics over a restart, Tansu where it is asked to (on the object store)."""
    async with contextlib.AsyncExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="winnow-chaos-")))
        logs = folder / "logs-of-services"
        logs.mkdir()
        kafka = KafkaCluster(folder / "kafka") if bus == buses.KAFKA else None
        proxies: dict[str, Proxy] = {}
        if kafka is not None:
            proxies["bus"] = await _proxy(kafka.bootstrap)
            kafka.advertised_ports[1] = proxies["bus"].port
            await asyncio.to_thread(kafka.start)
            running.callback(kafka.stop)
        engine = "s3" if keeps_topics else "memory"
        stack = ProxiedStack(folder, bus_engine=engine, kafka_bootstrap=kafka.bootstrap if kafka else "")
        await asyncio.to_thread(stack.start)
        running.callback(stack.stop)
        direct = stack.addresses
        proxies["documents"] = await _proxy(direct.mongo_uri)
        proxies["objects"] = await _proxy(direct.s3_endpoint)
        if kafka is None:
            proxies["bus"] = await _proxy(direct.kafka_bootstrap)
            await asyncio.to_thread(_advertise, stack, proxies["bus"].port)
        stack.proxied = {
            "kafka_bootstrap": f"127.0.0.1:{proxies['bus'].port}",
            "mongo_uri": f"mongodb://127.0.0.1:{proxies['documents'].port}/?directConnection=true",
            "s3_endpoint": f"http://127.0.0.1:{proxies['objects'].port}",
        }
        await apply_topics(stack.addresses.kafka_bootstrap, shards=SHARDS, replicas=1)
        short_limits(folder)
        settings: dict[str, dict[str, str]] = {
            "router": {"CATALOGUE_FOLDER": str(folder)},
            "scorer": {"PROCESSES": "1"},
            "delivery": {"WEBHOOK_SCHEDULE_S": "[0, 1, 1, 2, 2, 4]", "WEBHOOK_TIMEOUT_S": "3"},
        }
        profiles = {provider: f"flawless-{provider}" for provider in PROVIDERS}
        line = Line(stack, LineOptions(api_port=free_port(), profiles=profiles, settings=settings))
        fronts = {}
        for provider in PROVIDERS:
            front = await Front("127.0.0.1", urlsplit(line.simulator_url(provider)).port or 0).start()
            path = "/v1" if provider == "openai" else ""
            settings["router"][f"{provider.upper()}_BASE_URL"] = f"http://127.0.0.1:{front.port}{path}"
            fronts[provider] = front
        fronts["receiver"] = await Front("127.0.0.1", urlsplit(line.receiver_url).port or 0).start()
        settings["delivery"]["WEBHOOK_ALLOWED_HOSTS"] = json.dumps([f"127.0.0.1:{fronts['receiver'].port}"])
        # What a scenario measures begins later.
        supervisor = Supervisor(logs, care=Care(no_progress_s=300.0))
        running.callback(supervisor.stop)
        await asyncio.to_thread(supervisor.start, line.layers())
        supervisor.check()
        try:
            yield ChaosWorld(line, supervisor, stack, kafka, proxies, fronts, logs)
        finally:
            await asyncio.to_thread(supervisor.stop)
            for proxy in proxies.values():
                await proxy.stop()
            for front in fronts.values():
                await front.stop()


__all__ = ["BUS", "DOCUMENTS", "OBJECTS", "SERVICES", "ChaosWorld", "running_world"]
