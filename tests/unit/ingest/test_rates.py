"""Rates of requests: buckets of a key, of an address, and of failed proofs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.limits import Rate, origin_of, take
from tests.unit.ingest.ingest_app import ADMIN_TOKEN, IngestApp, running

ADMIN = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def test_the_rate_of_a_key_is_told_and_held():
    world = IngestApp()
    world.rate = Rate(3, 1.0)
    world.cases = world._build()
    async with running(world) as client:
        headers = await world.key()
        other = await world.key("acct_one")
        answers = [await client.get("/v1/templates", headers=headers) for _ in range(4)]
        theirs = await client.get("/v1/templates", headers=other)
        world.clock.pass_s(1.0)
        later = await client.get("/v1/templates", headers=headers)
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit-limit"] == "3"
    assert [answer.headers["ratelimit-remaining"] for answer in answers[:3]] == ["2", "1", "0"]
    assert (answers[3].json()["code"], answers[3].headers["retry-after"]) == ("rate_limited", "1")
    assert (theirs.status_code, later.status_code) == (200, 200)


@pytest.mark.parametrize(
    ("address", "neighbour", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("unknown", "unknown", True),
    ],
)
def test_a_subnet_of_ipv6_shares_a_bucket_and_an_address_of_ipv4_has_its_own(address, neighbour, same):
    assert (origin_of(address) == origin_of(neighbour)) is same


async def test_guessing_keys_is_slowed_by_address():
    world = IngestApp()
    async with running(world) as client:
        answers = [await client.get("/v1/account") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]


@given(st.lists(st.floats(min_value=0, max_value=3), max_size=60))
def test_a_bucket_never_gives_more_than_its_rate(waits: list[float]):
    rate, bucket, now_s, given_count = Rate(5, 2.0), None, 0.0, 0
    for wait_s in waits:
        now_s += wait_s
        bucket, allowance = take(bucket, rate, now_s)
        given_count += allowance.allowed
        assert allowance.allowed or allowance.retry_after_s >= 1
        assert given_count <= rate.burst_count + rate.per_second * now_s + 1e-6


@given(st.floats(min_value=0, max_value=1e9))
def test_a_bucket_that_was_idle_holds_no_more_than_its_burst(idle_s: float):
    rate = Rate(5, 2.0)
    bucket, _ = take(None, rate, 0.0)
    allowed = 0
    for _ in range(20):
        bucket, allowance = take(bucket, rate, idle_s)
        allowed += allowance.allowed
        assert 0 <= allowance.remaining_count < 5
        assert allowance.reset_s >= 0
    assert allowed <= 5


def test_a_whole_token_is_enough_and_less_is_not():
    rate = Rate(1, 2.0)
    bucket, first = take(None, rate, 0.0)
    assert first.allowed
    assert take(bucket, rate, 0.5)[1].allowed
    assert not take(bucket, rate, 0.499)[1].allowed
