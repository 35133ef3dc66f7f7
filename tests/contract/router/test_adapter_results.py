"""Polled and collected results: outcomes of an attempt, its cost, and links that are followed."""

from __future__ import annotations

import pytest

from services.router.clients.wire import is_allowed
from services.router.domain.calls import CallRefused, CollectFailed, ImageRef, Running, Unknown
from tests.contract.router.provider_calls import calling, http, server, submit


async def test_a_replicate_failure_costs_nothing_and_a_cancel_after_the_start_does() -> None:
    prediction = {"id": "p", "status": "failed", "error": "boom"}
    failed = await submit("replicate", http(201, prediction))
    assert isinstance(failed, CallRefused)
    assert (failed.billed, failed.permanent) == (False, False)
    cancelled = await submit("replicate", http(201, prediction | {"status": "canceled", "started_at": "x"}))
    assert isinstance(cancelled, CallRefused)
    assert cancelled.billed
    aborted = await submit("replicate", http(201, prediction | {"status": "aborted"}))
    assert isinstance(aborted, CallRefused)
    assert not aborted.billed


@pytest.mark.parametrize("provider", ["fal", "replicate"])
@pytest.mark.parametrize("answer", [None, http(500), http(503), http(429, Retry_After="3")])
async def test_a_poll_without_an_answer_means_look_again(provider: str, answer: bytes | None) -> None:
    async with server(answer) as (url, _), calling(provider, url) as (client, offering):
        handle = {name: f"{url}/{name}/status" for name in ("status_url", "response_url", "get")}
        assert isinstance(await client.poll(offering, handle), Running)


@pytest.mark.parametrize("provider", ["fal", "replicate"])
async def test_a_reference_that_is_gone_is_an_unknown_outcome(provider: str) -> None:
    async with server(http(404)) as (url, _), calling(provider, url) as (client, offering):
        handle = dict.fromkeys(("status_url", "response_url", "get"), f"{url}/x")
        assert isinstance(await client.poll(offering, handle), Unknown)


@pytest.mark.parametrize(
    ("inference_s", "billed"), [(0, False), (1.5, True)], ids=["before it ran", "while it ran"]
)
async def test_a_fal_422_is_billed_only_if_a_machine_ran(inference_s: float, billed: bool) -> None:
    def answer(request: bytes) -> bytes:
        if b"/status" in request.split(b"\r\n")[0]:
            return http(200, {"status": "COMPLETED", "metrics": {"inference_time": inference_s}})
        return http(422, {"detail": [{"type": "content_policy_violation"}]})

    async with server(answer) as (url, _), calling("fal", url) as (client, offering):
        reply = await client.poll(offering, {"status_url": f"{url}/a/status", "response_url": f"{url}/a"})
    assert isinstance(reply, CallRefused)
    assert (reply.reason, reply.billed, reply.permanent) == ("content_policy", billed, True)


async def test_an_image_above_the_cap_is_not_collected() -> None:
    async with server(http(200, b"x" * 2000)) as (url, _), calling("fal", url) as (client, offering):
        with pytest.raises(CollectFailed) as failed:
            await client.collect(offering, ImageRef(url=f"{url}/i.jpg"))
    assert failed.value.reason == "not_collected"


async def test_a_collect_sends_no_key_and_follows_no_foreign_link() -> None:
    async with server(http(200, b"image")) as (url, requests), calling("fal", url) as (client, offering):
        assert await client.collect(offering, ImageRef(url=f"{url}/i.jpg")) == b"image"
        assert b"authorization" not in requests[0].lower()
        assert b"accept-encoding: identity" in requests[0].lower()
        with pytest.raises(CollectFailed) as failed:
            await client.collect(offering, ImageRef(url="http://169.254.169.254/latest"))
    assert (failed.value.reason, failed.value.may_retry) == ("link_not_allowed", False)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://queue.example.com/x", True),
        ("https://v3.media.example/x", True),
        ("https://media.example/x", False),
        ("https://cdn.example/x", True),
        ("http://cdn.example/x", False),
        ("https://cdn.example:8443/x", False),
        ("https://evilcdn.example/x", False),
        ("https://cdn.example.evil.org/x", False),
        ("https://cdn.example@evil.org/x", False),
        ("http://127.0.0.1/x", False),
        ("file:///etc/passwd", False),
        ("https://[::1", False),
        ("", False),
    ],
)
def test_links_lie_at_the_base_address_or_on_the_providers_hosts(url: str, allowed: bool) -> None:
    hosts = ("cdn.example", "*.media.example")
    assert is_allowed(url, base_url="https://queue.example.com", hosts=hosts) is allowed
