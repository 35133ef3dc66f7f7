"""The sender against the receiver simulator on loopback: signatures, failures, and where it never goes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import uvicorn
from standardwebhooks import Webhook

from services.delivery.clients.webhook import WebhookSender, _retry_after_s
from services.delivery.domain.endpoints import WebhookRequest, secret_of
from services.delivery.domain.messages import AttemptReason
from simulators.receiver import build_receiver
from tests.support.servers.connections import listening
from winnow.contracts.errors import ErrorCode, Refused
from winnow.egress.client import EgressRules

SECRET = secret_of(b"k" * 32, "whe_1")
BODY = b'{"type":"task.delivered","data":{}}'


class Server(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """Leave signals to pytest."""


@dataclass
class Receiver:
    place: str
    http: httpx.AsyncClient

    async def control(self, **wanted: object) -> None:
        (await self.http.post("/_control", json=wanted)).raise_for_status()

    async def deliveries(self) -> list[dict]:
        return (await self.http.get("/_deliveries")).json()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    listener = socket.create_server(("127.0.0.1", 0))
    place = f"127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(build_receiver([SECRET]), log_level="error", lifespan="off", access_log=False)
    server = Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    async with httpx.AsyncClient(base_url=f"http://{place}", timeout=5.0, trust_env=False) as http:
        while not server.started:
            await asyncio.sleep(0.005)
        yield Receiver(place, http)
    server.should_exit = True
    await serving
    listener.close()


@pytest.fixture
async def sender(receiver: Receiver) -> AsyncIterator[WebhookSender]:
    made = WebhookSender(EgressRules(allowed_hosts=(receiver.place,)), timeout_s=10.0)
    yield made
    await made.close()


def request(receiver: Receiver, path: str = "/hook", secret: str = SECRET) -> WebhookRequest:
    return WebhookRequest(f"http://{receiver.place}{path}", "dlv_1", datetime.now(UTC), secret, BODY)


async def test_a_delivery_is_verified_by_the_standard_library_of_webhooks(receiver, sender):
    answer = await sender.send(request(receiver))
    assert (answer.status, answer.reason) == (200, AttemptReason.accepted)
    delivery = (await receiver.deliveries())[0]
    assert delivery["verified"]
    assert delivery["webhook_id"] == "dlv_1"
    assert delivery["body"] == {"type": "task.delivered", "data": {}}


async def test_a_wrong_secret_is_refused_by_the_receiver(receiver, sender):
    answer = await sender.send(request(receiver, secret=secret_of(b"k" * 32, "whe_2")))
    assert (answer.status, answer.reason) == (401, AttemptReason.refused)


async def test_the_timestamp_is_that_of_the_attempt(receiver, sender):
    old = WebhookRequest(
        f"http://{receiver.place}/", "dlv_1", datetime.now(UTC) - timedelta(minutes=10), SECRET, BODY
    )
    assert (await sender.send(old)).status == 401
    assert (await sender.send(request(receiver))).status == 200


async def test_a_redirect_is_a_failure_and_is_not_followed(receiver, sender):
    await receiver.control(redirect_next=1)
    answer = await sender.send(request(receiver))
    assert (answer.status, answer.reason) == (302, AttemptReason.redirected)
    assert [delivery["path"] for delivery in await receiver.deliveries()] == ["/hook"]


@pytest.mark.parametrize(
    ("status", "reason"),
    [(500, AttemptReason.server_error), (410, AttemptReason.gone), (404, AttemptReason.refused)],
)
async def test_an_error_is_named(receiver, sender, status, reason):
    await receiver.control(fail_next=1, fail_status=status)
    assert (await sender.send(request(receiver))).reason is reason


async def test_retry_after_is_read(receiver, sender):
    await receiver.control(fail_next=1, fail_status=429, retry_after_s=77)
    answer = await sender.send(request(receiver))
    assert (answer.reason, answer.retry_after_s) == (AttemptReason.throttled, 77)


async def test_no_answer_times_out_and_a_closed_connection_is_not_reachable(receiver, sender):
    await receiver.control(hang_next=1)
    hasty = WebhookSender(EgressRules(allowed_hosts=(receiver.place,)), timeout_s=0.5)
    assert (await hasty.send(request(receiver))).reason is AttemptReason.timed_out
    await hasty.close()
    await receiver.control(drop_next=1)
    assert (await sender.send(request(receiver))).reason is AttemptReason.not_reachable


async def test_a_huge_answer_is_not_read_to_its_end():
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        while sent < 50_000_000:
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent += 65_536

    async with listening(serve) as port:
        host = f"127.0.0.1:{port}"
        made = WebhookSender(EgressRules(allowed_hosts=(host,)), timeout_s=2.0)
        answer = await made.send(WebhookRequest(f"http://{host}/", "dlv_1", datetime.now(UTC), SECRET, BODY))
        await made.close()
    assert answer.reason is AttemptReason.accepted
    assert sent < 20_000_000


@pytest.fixture
async def trap() -> AsyncIterator[tuple[int, list[int]]]:
    """A listener on loopback that counts connections: a blocked address must not even be connected to."""
    connected: list[int] = []

    async def serve(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        connected.append(1)

    async with listening(serve) as port:
        yield port, connected


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "0x7f000001", "2130706433", "127.1", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0"],
)
async def test_no_spelling_of_a_private_address_is_accepted_or_connected_to(trap, host):
    port, connected = trap
    made = WebhookSender(EgressRules(ports=(443, port)), timeout_s=2.0)
    url = f"https://{host}:{port}/"
    with pytest.raises(Refused) as refused:
        await made.check(url)
    assert refused.value.code is ErrorCode.url_not_allowed
    answer = await made.send(WebhookRequest(url, "dlv_1", datetime.now(UTC), SECRET, BODY))
    assert answer.reason is AttemptReason.address_not_allowed
    assert connected == []
    await made.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ftp://example.com/",
        "http://93.184.216.34/",
        "https://93.184.216.34:8443/",
        "https://user:word@93.184.216.34/",
        "https://93.184.216.34/#part",
        "https://93.184.216.34/\r\nx: y",
        "https://169.254.169.254/latest",
        "https://10.0.0.1/",
        "https://[64:ff9b::a00:1]/",
        "https://" + "a" * 2000,
        "https://name.invalid/",
    ],
)
async def test_an_address_that_is_not_public_https_is_refused(url):
    made = WebhookSender(EgressRules(), timeout_s=6.0)
    with pytest.raises(Refused) as refused:
        await made.check(url)
    assert refused.value.code is ErrorCode.url_not_allowed


async def test_public_and_listed_addresses_are_accepted():
    made = WebhookSender(EgressRules(allowed_hosts=("127.0.0.1:9", "[::1]:9")), timeout_s=2.0)
    await made.check("https://93.184.216.34/hook?x=1")
    await made.check("http://127.0.0.1:9/hook")
    await made.check("http://[::1]:9/hook")
    with pytest.raises(Refused):
        await made.check("http://127.0.0.1:10/hook")
    with pytest.raises(Refused):
        await made.check("http://localhost:9/hook")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0),
        ("12", 12),
        (" 12 ", 12),
        ("soon", 0),
        ("-5", 0),
        ("9" * 40, 999_999_999),
        ("Sat, 21 Nov 2026 09:01:00 GMT", 60),
        ("Sat, 21 Nov 2026 08:00:00 GMT", 0),
        ("Sat, 21 Nov 2026 09:01:00", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    assert _retry_after_s(value, datetime(2026, 11, 21, 9, tzinfo=UTC)) == seconds


def test_a_derived_secret_is_one_the_standard_accepts():
    assert Webhook(SECRET).sign("dlv_1", datetime(2026, 11, 21, 9, tzinfo=UTC), "{}").startswith("v1,")
