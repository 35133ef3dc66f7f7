"""Failed webhooks in the loop of delivery: recorded, shown, and tried again until they succeed."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from services.delivery.domain.messages import WebhookState
from tests.support.eventually import eventually
from tests.support.servers.tls import HOST, Authority, serving
from tests.unit.delivery.builders import ACCOUNT, endpoint
from tests.unit.delivery.delivery_app import PICTURES, SHARDS, DeliveryApp
from tests.unit.delivery.tls_sender import sending

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def pass_s(line: DeliveryApp, seconds: int) -> None:
    """Move the clock; the journal sleeps by the machine's, and an assignment makes it look."""
    line.clock.at += timedelta(seconds=seconds)
    line.journal.assign(str(index) for index in range(SHARDS))


def waits_after(line: DeliveryApp, attempts_count: int) -> bool:
    """Return whether the only webhook waits for its next attempt after so many."""
    state = line.state()
    if state is None or not state.webhooks:
        return False
    (webhook,) = state.webhooks
    return len(webhook.attempts) == attempts_count and webhook.next_at is not None


async def shown(line: DeliveryApp) -> list[tuple[str, int]]:
    """The attempts as the delivery log shows them."""
    (logged,) = await line.log.lines(ACCOUNT, "", 10)
    return [(attempt.reason.value, attempt.status) for attempt in logged.webhook.attempts]


async def test_a_tls_failure_is_recorded_shown_and_tried_again_until_the_certificate_is_good(
    authority: Authority,
):
    """The delivery's own loop: plan, attempt, record, timer, attempt."""
    context = {"now": authority.expired()}
    changing = authority.expired()
    async with serving(changing) as server, sending(authority, server.port) as sender:

        def choose(socket, name, _context) -> None:
            server.names.append(name)
            socket.context = context["now"]

        changing.sni_callback = choose
        line = DeliveryApp(sender=sender)
        hook = endpoint(url=server.url("/hook"))
        line.endpoints.kept = {hook.endpoint_id: hook}
        async with line.running():
            await line.receive(line.order(PICTURES[0]))
            await eventually(
                lambda: (state := line.state()) and state.webhooks and state.webhooks[0].next_at, 25.0
            )
            assert await shown(line) == [("certificate_expired", 0)]
            context["now"] = authority.good()
            pass_s(line, 60)
            await eventually(lambda: line.webhook_state() is WebhookState.delivered, 25.0)
            assert await shown(line) == [("certificate_expired", 0), ("accepted", 200)]
        assert server.names == [HOST, HOST]


async def test_a_fault_nobody_foresaw_is_recorded_and_tried_again(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
):
    import aiohttp

    faults = [AttributeError("'bytes' object has no attribute 'encode'"), TypeError("a bug")]
    connect = aiohttp.TCPConnector.connect

    async def faulty(self, *arguments, **named):
        if faults:
            raise faults.pop(0)
        return await connect(self, *arguments, **named)

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", faulty)
    async with serving(authority.good()) as server, sending(authority, server.port) as sender:
        line = DeliveryApp(sender=sender)
        hook = endpoint(url=server.url("/hook"))
        line.endpoints.kept = {hook.endpoint_id: hook}
        async with line.running():
            await line.receive(line.order(PICTURES[0]))
            for made in (1, 2):
                await eventually(partial(waits_after, line, made), 25.0)
                pass_s(line, 400)
            await eventually(lambda: line.webhook_state() is WebhookState.delivered, 25.0)
            assert await shown(line) == [("unforeseen", 0), ("unforeseen", 0), ("accepted", 200)]
        assert len(server.requests) == 1
