"""Webhooks over TLS: real servers on loopback, and the delivery's own loop that records and retries."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from services.delivery.clients.webhook import WebhookSender
from services.delivery.domain.endpoints import WebhookAnswer, WebhookRequest, secret_of
from services.delivery.domain.messages import AttemptReason
from tests.support.eventually import eventually
from tests.support.servers import tls
from tests.support.servers.connections import listening
from tests.support.servers.tls import HOST, Authority, Names, serving
from tests.unit.delivery.tls_sender import sending
from winnow.contracts.errors import ErrorCode, Refused
from winnow.egress.client import EgressRules

pytestmark = pytest.mark.timeout(120)
SECRET = secret_of(b"k" * 32, "whe_1")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def request(url: str) -> WebhookRequest:
    return WebhookRequest(url, "dlv_1", datetime.now(UTC), SECRET, b'{"type":"task.delivered"}')


async def test_a_webhook_is_delivered_over_tls_to_a_host_by_name(authority: Authority):
    async with serving(authority.good()) as server, sending(authority, server.port) as sender:
        await sender.check(server.url("/hook"))
        answer = await sender.send(request(server.url("/hook")))
        assert answer == WebhookAnswer(200, AttemptReason.accepted)
        assert server.names == [HOST]
        assert b"webhook-signature: v1," in server.requests[0]


async def test_every_kind_of_bad_certificate_is_a_reason_of_its_own(authority: Authority):
    kinds = {
        AttemptReason.certificate_expired: authority.expired(),
        AttemptReason.certificate_wrong_host: authority.good("another.example.test"),
        AttemptReason.certificate_untrusted: authority.self_signed(),
    }
    for reason, context in [*kinds.items(), (AttemptReason.certificate_untrusted, authority.of_a_stranger())]:
        async with serving(context) as server, sending(authority, server.port) as sender:
            assert await sender.send(request(server.url())) == WebhookAnswer(0, reason)
            assert server.requests == []


async def test_a_server_in_plain_text_has_failed_tls(authority: Authority):
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with listening(plain) as port, sending(authority, port) as sender:
        assert (await sender.send(request(f"https://{HOST}:{port}/"))).reason is AttemptReason.tls_failed


@pytest.mark.parametrize("answer", [tls.never, None], ids=["answers nothing", "no hello"])
async def test_a_silent_server_times_out(authority: Authority, answer: tls.Answer | None):
    slow = tls.silent() if answer is None else serving(authority.good(), answer)
    async with slow as server, sending(authority, server.port, timeout_s=0.5) as sender:
        assert (await sender.send(request(server.url()))).reason is AttemptReason.timed_out


async def test_an_answer_that_drips_after_its_status_is_accepted_without_waiting_for_its_end(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("services.delivery.clients.webhook._DRAIN_TIMEOUT_S", 0.1)
    async with (
        serving(authority.good(), tls.dripping) as server,
        sending(authority, server.port) as sender,
    ):
        assert (await sender.send(request(server.url()))).reason is AttemptReason.accepted


async def test_a_redirect_to_a_guarded_address_is_not_followed(authority: Authority):
    async with serving(authority.good()) as inner:
        to = tls.redirecting(f"https://127.0.0.1:{inner.port}/")
        async with serving(authority.good(), to) as server, sending(authority, server.port) as sender:
            answer = await sender.send(request(server.url()))
        assert answer == WebhookAnswer(302, AttemptReason.redirected)
        assert inner.connections == 0


async def test_a_name_that_leads_inside_is_refused_at_registration_and_at_each_attempt(authority: Authority):
    sender = WebhookSender(EgressRules(), timeout_s=5.0, ca_file=authority.ca_file, resolve=Names())
    for host in ("inside.example.test", HOST):
        with pytest.raises(Refused) as refused:
            await sender.check(f"https://{host}/")
        assert refused.value.code is ErrorCode.url_not_allowed
        answer = await sender.send(request(f"https://{host}/"))
        assert answer == WebhookAnswer(0, AttemptReason.address_not_allowed)
    assert (await sender.send(request("https://gone.example.test/"))).reason is AttemptReason.not_reachable
    await sender.close()


async def test_an_address_that_changes_after_its_check_is_not_connected_to(authority: Authority):
    names = Names({HOST: ["2a00:1450::1"]})
    async with serving(authority.good()) as server:
        sender = WebhookSender(
            EgressRules(ports=(server.port,)), timeout_s=5.0, ca_file=authority.ca_file, resolve=names
        )
        await sender.check(server.url())
        names.names[HOST] = ["127.0.0.1"]
        assert (await sender.send(request(server.url()))).reason is AttemptReason.address_not_allowed
        assert server.connections == 0
        await sender.close()


async def test_an_address_past_the_resolver_is_refused_by_the_socket(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
):
    async with serving(authority.good()) as server:

        async def past(*_: object, **__: object) -> list[dict]:
            return [
                {
                    "hostname": HOST,
                    "host": "127.0.0.1",
                    "port": server.port,
                    "family": 2,
                    "proto": 6,
                    "flags": 0,
                }
            ]

        monkeypatch.setattr("winnow.egress.client._Resolver.resolve", past)
        sender = WebhookSender(EgressRules(ports=(server.port,)), timeout_s=5.0, ca_file=authority.ca_file)
        assert (await sender.send(request(server.url()))).reason is AttemptReason.not_reachable
        assert server.connections == 0
        await sender.close()


FAULTS = [
    AttributeError("'bytes' object has no attribute 'encode'"),
    KeyError("x"),
    UnicodeError("label too long"),
    RuntimeError("closed"),
    ValueError("not a URL"),
    RecursionError("deep"),
    MemoryError("full"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=[type(fault).__name__ for fault in FAULTS])
async def test_nothing_unforeseen_leaves_an_attempt(
    authority: Authority, fault: Exception, monkeypatch: pytest.MonkeyPatch
):
    async def fail(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr("aiohttp.TCPConnector.connect", fail)
    async with sending(authority, 443) as sender:
        answer = await sender.send(request(f"https://{HOST}/"))
    assert answer == WebhookAnswer(0, AttemptReason.unforeseen)


async def test_a_cancelled_attempt_is_cancelled(authority: Authority):
    async with serving(authority.good(), tls.never) as server, sending(authority, server.port) as sender:
        attempt = asyncio.create_task(sender.send(request(server.url())))
        await eventually(lambda: server.requests)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
