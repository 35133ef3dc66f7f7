"""Simulated providers, each served over HTTP on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn

from simulators.main import build
from simulators.provider_profile import load_profile
from tests.support.eventually import eventually
from tests.support.renderer import shared_renderer


@dataclass
class Simulator:
    base_url: str

    async def control(self, **controls: object) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            reply = await client.post(f"{self.base_url}/_control", json=controls)
            assert reply.status_code == 200, reply.text

    async def ledger(self) -> dict[str, Any]:
        async with httpx.AsyncClient(trust_env=False) as client:
            reply = await client.get(f"{self.base_url}/_ledger")
            document: dict[str, Any] = reply.json()
            return document


@asynccontextmanager
async def simulator(provider: str, *, seed: int = 1) -> AsyncIterator[Simulator]:
    renderer = await asyncio.to_thread(shared_renderer)
    app = build(load_profile(f"flawless-{provider}"), seed=seed, renderer=renderer)
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=1)
    )
    server.capture_signals = _no_signals  # type: ignore[method-assign]
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    await eventually(lambda: _is(server), within_s=10)
    try:
        yield Simulator(f"http://127.0.0.1:{port}")
    finally:
        server.should_exit = True
        await serving
        listening.close()


async def _is(server: uvicorn.Server) -> bool:
    return server.started


def _no_signals() -> Any:
    return contextlib.nullcontext()
