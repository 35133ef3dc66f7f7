"""Webhooks a simulated Replicate sends: Standard Webhooks signatures, events, and the faults of delivery."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import httpx
from standardwebhooks import Webhook

from simulators.generation import Generation
from simulators.world import World
from winnow.runtime.clock import random_bytes

_logger = logging.getLogger(__name__)

_TIMEOUT: Final = httpx.Timeout(connect=5, read=15, write=5, pool=5)
_ATTEMPTS_MAX: Final = 3
_STALE: Final = timedelta(hours=1)


class ReplicateHooks:
    """Sends the events of predictions, signed with one secret per account."""

    def __init__(self, world: World) -> None:
        """Draw the account's secret."""
        self.secret = "whsec_" + base64.b64encode(random_bytes(24)).decode()
        self._world = world

    async def follow(
        self,
        generation: Generation,
        url: str,
        events: frozenset[str],
        body: Callable[[], dict[str, Any]],
    ) -> None:
        """Send ``start`` and ``completed`` (and ``output``) of one prediction, as far as they are wanted."""
        if "start" in events:
            started = asyncio.ensure_future(generation.started.wait())
            ended = asyncio.ensure_future(generation.ended.wait())
            await asyncio.wait({started, ended}, return_when=asyncio.FIRST_COMPLETED)
            for waiting in (started, ended):
                waiting.cancel()
            await self._send(url, body())
        await generation.ended.wait()
        if "output" in events and generation.pictures:
            await self._send(url, body())
        if "completed" in events:
            await self._send(url, body())

    async def _send(self, url: str, body: dict[str, Any]) -> None:
        fault = self._world.controls.webhook_fault
        if fault == "missing":
            return
        content = json.dumps(body)
        message_id = "msg_" + base64.b32encode(random_bytes(15)).decode().lower()
        for _ in range(2 if fault == "duplicate" else 1):
            await self._deliver(url, content, message_id)

    async def _deliver(self, url: str, content: str, message_id: str) -> None:
        """Try a few times; a redirect counts as a failure, as at the vendor's."""
        async with httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False) as client:
            for attempt in range(_ATTEMPTS_MAX):
                try:
                    answer = await client.post(
                        url, content=content, headers=self._headers(content, message_id)
                    )
                except httpx.HTTPError:
                    _logger.warning("simulator.webhook.undelivered")
                else:
                    if answer.is_success:
                        return
                await asyncio.sleep(0.5 * 2**attempt)

    def _headers(self, content: str, message_id: str) -> dict[str, str]:
        fault = self._world.controls.webhook_fault
        at = self._world.clock.now()
        if fault == "old_timestamp":
            at -= _STALE
        signature = Webhook(self.secret).sign(message_id, at, content)
        if fault == "bad_signature":
            signature = "v1," + base64.b64encode(bytes(32)).decode()
        return {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signature,
        }
