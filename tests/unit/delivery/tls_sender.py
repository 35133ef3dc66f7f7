"""The sender of webhooks, for servers of the tests on loopback."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from services.delivery.clients.webhook import WebhookSender
from tests.support.servers.tls import HOST, Authority, Names
from winnow.egress.client import EgressRules


@contextlib.asynccontextmanager
async def sending(
    authority: Authority, port: int, *, timeout_s: float = 10.0, host: str = HOST
) -> AsyncIterator[Any]:
    """Yield a sender that is told that a name of the tests may lead to loopback."""
    sender = WebhookSender(
        EgressRules(allowed_hosts=(f"{host}:{port}",)),
        timeout_s=timeout_s,
        ca_file=authority.ca_file,
        resolve=Names(),
    )
    try:
        yield sender
    finally:
        await sender.close()
