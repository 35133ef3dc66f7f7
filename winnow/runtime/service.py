"""Runs a service: checks what it needs, starts its parts, answers probes, drains at SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import grpc.aio
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from winnow.runtime.clock import Clock, SystemClock
from winnow.runtime.gc_tuning import freeze_after_startup
from winnow.runtime.listener import http_server
from winnow.runtime.log import configure, get_logger
from winnow.runtime.settings import ServiceSettings, SettingsError

_log = get_logger(__name__)
Step = Callable[[], Awaitable[object]]
_LOOP_STALL_S: Final = 10.0
_GRPC_MESSAGE_MAX_BYTES: Final = 8 * 1024 * 1024


class Service:
    """The parts of one process, started in order and stopped in reverse."""

    def __init__(self, name: str, settings: ServiceSettings, clock: Clock | None = None) -> None:
        """Collect parts with the ``add_`` methods, then ``run``."""
        self.name = name
        self.settings = settings
        self.clock = clock or SystemClock()
        self._starts: list[Step] = []
        self._drains: list[Step] = []
        self._closes: list[Step] = []
        self._checks: dict[str, Step] = {}
        self._held: dict[str, Callable[[], Mapping[str, str]]] = {}
        self._tasks: dict[str, Step] = {}
        self._apps: list[tuple[Any, int]] = []
        self._registrars: list[tuple[str, Callable[[grpc.aio.Server], None]]] = []
        self._ready = False
        self._ticked_at_s = self.clock.monotonic_s()
        self._stop = asyncio.Event()

    def add_start(self, step: Step) -> None:
        """Run before the service is ready, in the order added."""
        self._starts.append(step)

    def add_drain(self, step: Step) -> None:
        """Run at the stop, while background tasks still run, in the order added."""
        self._drains.append(step)

    def add_close(self, step: Step) -> None:
        """Run last."""
        self._closes.append(step)

    def add_check(self, name: str, step: Step) -> None:
        """Make readiness depend on a step that raises, or returns False, while something is missing."""
        self._checks[name] = step

    def add_held(self, name: str, reasons: Callable[[], Mapping[str, str]]) -> None:
        """Show with readiness which shards wait, and why; the process stays ready: the others continue."""
        self._held[name] = reasons

    def add_task(self, name: str, step: Step) -> None:
        """Run for the life of the service; its end or failure ends the service."""
        self._tasks[name] = step

    def add_http(self, app: Any, port: int) -> None:
        """Serve an ASGI application on its own port."""
        self._apps.append((app, port))

    def add_grpc(self, service_name: str, register: Callable[[grpc.aio.Server], None]) -> None:
        """Serve a gRPC service."""
        self._registrars.append((service_name, register))

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT, or until a part fails."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        _log.info("service.starting", settings=self.settings.masked())
        ops = http_server(self._ops_app(), self.settings.ops_port, self.settings)
        ops_task = asyncio.create_task(ops.serve(), name="ops")
        background: list[asyncio.Task[object]] = []
        try:
            background += [asyncio.create_task(self._tick(), name="tick")]
            background += [
                asyncio.create_task(_as_coroutine(step), name=name) for name, step in self._tasks.items()
            ]
            await self._until_stopped(background, ops_task)
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            for step in self._closes:
                with contextlib.suppress(Exception):
                    await step()
            ops.should_exit = True
            await ops_task
            _log.info("service.stopped")

    async def _until_stopped(
        self, background: list[asyncio.Task[object]], ops_task: asyncio.Task[None]
    ) -> None:
        for step in self._starts:
            await step()
        grpc_server = await self._start_grpc()
        servers = [http_server(app, port, self.settings) for app, port in self._apps]
        serving = [asyncio.create_task(server.serve(), name="http") for server in servers]
        freeze_after_startup()
        self._ready = True
        _log.info("service.ready")
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        ended, _ = await asyncio.wait(
            [stopping, ops_task, *background, *serving], return_when=asyncio.FIRST_COMPLETED
        )
        self._ready = False
        _log.info("service.draining")
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*serving, return_exceptions=True)
        if grpc_server is not None:
            await grpc_server.stop(2.0)
        async with asyncio.timeout(self.settings.drain_timeout_s + 5):
            for step in self._drains:
                await step()
        for task in ended - {stopping}:
            if task.exception() is not None:
                raise task.exception() or RuntimeError(task.get_name())

    async def _start_grpc(self) -> grpc.aio.Server | None:
        if not self._registrars:
            return None
        server = grpc.aio.server(options=[("grpc.max_receive_message_length", _GRPC_MESSAGE_MAX_BYTES)])
        status = health.aio.HealthServicer()  # type: ignore[attr-defined]  # the stubs leave ``aio`` out
        health_pb2_grpc.add_HealthServicer_to_server(status, server)
        for name, register in self._registrars:
            register(server)
            await status.set(name, health_pb2.HealthCheckResponse.SERVING)
        server.add_insecure_port(f"{self.settings.host}:{self.settings.grpc_port}")
        await server.start()
        return server

    def _ops_app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/livez", self._livez),
                Route("/readyz", self._readyz),
                Route("/metrics", self._metrics),
            ]
        )

    async def _livez(self, _: Request) -> Response:
        stalled = self.clock.monotonic_s() - self._ticked_at_s > _LOOP_STALL_S
        return PlainTextResponse("stalled" if stalled else "ok", 503 if stalled else 200)

    async def _readyz(self, _: Request) -> Response:
        missing = [] if self._ready else ["started"]
        for name, step in self._checks.items():
            try:
                async with asyncio.timeout(2.0):
                    if await step() is False:
                        missing.append(name)
            except Exception:  # noqa: BLE001 (whatever is wrong, the part is not ready)
                missing.append(name)
        held = [
            f"{name}/{shard}: {reason}"
            for name, reasons in self._held.items()
            for shard, reason in sorted(reasons().items())
        ]
        body = {"ready": not missing, "missing": missing, "held": held}
        return JSONResponse(body, 503 if missing else 200)

    async def _metrics(self, _: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    async def _tick(self) -> None:
        while True:
            self._ticked_at_s = self.clock.monotonic_s()
            await asyncio.sleep(1.0)


async def _as_coroutine(step: Step) -> object:
    return await step()


def run(name: str, load: Callable[[], ServiceSettings], build: Callable[[Any], Service]) -> None:
    """Load the settings, build the service and run it; exits 1 with one sentence for a wrong setting or a failure."""
    try:
        settings = load()
    except SettingsError as error:
        sys.exit(f"winnow {name}: {error}")
    configure(name, settings.log_level)

    async def main() -> None:
        await build(settings).run()

    try:
        uvloop.run(main())
    except Exception as error:  # noqa: BLE001 (the last edge: logged, then the process ends)
        _log.exception("service.failed", error=type(error).__name__)
        sys.exit(1)
