"""A wire that meets a scripted store, on both loops: the services run on uvloop, the tools on asyncio's own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import uvloop

from tests.support.servers.scripted_store import Act, ScriptedStore, scripted
from winnow.objectwire.pool import Limits
from winnow.objectwire.wire import ObjectWire

Run = Callable[[Coroutine[Any, Any, None]], None]
ON_BOTH_LOOPS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
PICTURE = bytes(range(256)) * 40


@contextlib.asynccontextmanager
async def meeting(
    *script: bytes | Act, limits: Limits | None = None
) -> AsyncIterator[tuple[ScriptedStore, ObjectWire]]:
    async with scripted(*script) as store:
        wire = ObjectWire(store.endpoint, "us-east-1", "access", "secret", limits=limits)
        try:
            yield store, wire
        finally:
            await wire.close()
