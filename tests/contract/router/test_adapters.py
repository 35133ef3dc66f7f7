"""Meaning of each answer of a provider for money, on a server that answers to order."""

from __future__ import annotations

import pytest

from services.router.domain.calls import CallRefused, Finished, Unknown
from tests.contract.router.provider_calls import PROVIDERS, http, submit
from winnow.contracts.values import OutcomeClass


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(("text", "wait_s"), [("7", 7.0), ("0.5", 0.5), ("soon", None), ("99999", 600.0)])
async def test_a_429_says_when_to_come_back(provider: str, text: str, wait_s: float | None) -> None:
    reply = await submit(provider, http(429, Retry_After=text))
    assert isinstance(reply, CallRefused)
    assert (reply.outcome, reply.reason) == (OutcomeClass.rejected_without_work, "rate_limited")
    assert reply.retry_after_s == wait_s


async def test_a_date_in_retry_after_is_read() -> None:
    reply = await submit("fal", http(429, Retry_After="Fri, 31 Dec 2100 23:59:59 GMT"))
    assert isinstance(reply, CallRefused)
    assert reply.retry_after_s == 600.0


@pytest.mark.parametrize(
    ("provider", "status", "known"),
    [
        ("fal", 500, True),
        ("fal", 502, False),
        ("fal", 503, True),
        ("fal", 504, False),
        ("replicate", 500, False),
        ("replicate", 503, True),
        ("openai", 500, False),
        ("openai", 502, False),
        ("openai", 503, True),
    ],
)
async def test_a_server_error_is_free_only_where_that_is_known(
    provider: str, status: int, known: bool
) -> None:
    reply = await submit(provider, http(status))
    assert isinstance(reply, CallRefused if known else Unknown)
    if isinstance(reply, CallRefused):
        assert reply.outcome is OutcomeClass.rejected_without_work
        assert not reply.permanent


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(("status", "permanent"), [(400, True), (401, False), (402, False), (422, True)])
async def test_a_refusal_is_free_and_says_whether_it_is_the_requests_fault(
    provider: str, status: int, permanent: bool
) -> None:
    reply = await submit(provider, http(status))
    assert isinstance(reply, CallRefused)
    assert (reply.billed, reply.permanent) == (False, permanent)


async def test_openai_names_a_moderated_prompt() -> None:
    reply = await submit("openai", http(400, {"error": {"code": "moderation_blocked"}}))
    assert isinstance(reply, CallRefused)
    assert reply.reason == "content_policy"


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_success_that_cannot_be_read_is_an_unknown_outcome(provider: str) -> None:
    assert isinstance(await submit(provider, http(201, b"[]")), Unknown)


async def test_openai_computes_the_cost_from_the_usage() -> None:
    body = {"data": [{"b64_json": "AAAA"}, {"b64_json": "%%"}], "usage": {"output_tokens": 100}}
    reply = await submit("openai", http(200, body), output_token_price_usd_micro=40)
    assert isinstance(reply, Finished)
    assert reply.cost_usd_micro == 4000
    assert [image.content for image in reply.images] == [b"\x00\x00\x00", None]
