"""The least effective price per accepted output."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.router.domain.catalogue import PPM, ModePolicy
from services.router.domain.choice import Considered, choose, effective_price_usd_micro

CHEAP = Considered("cheap", "p1", 3_000, 960_000, 600_000, 3_000, 2)
DEAR = Considered("dear", "p2", 8_000, 970_000, 750_000, 2_000, 2)
POLICY = ModePolicy(spill_ppm=4 * PPM)


def test_the_effective_price_is_price_by_success_and_pass_rate_plus_latency() -> None:
    offer = Considered("o", "p", 3_000, 500_000, 600_000, 2_000, 1)
    assert effective_price_usd_micro(offer, ModePolicy()) == 10_000
    hurried = ModePolicy(latency_price_usd_micro_per_s=1_000)
    assert effective_price_usd_micro(offer, hurried) == 12_000
    assert effective_price_usd_micro(replace(offer, overhead_ppm=100_000), ModePolicy()) == 11_000


def test_a_low_list_price_with_a_low_pass_rate_is_not_cheap() -> None:
    poor = replace(CHEAP, pass_rate_ppm=150_000)
    assert choose([poor, DEAR], POLICY).offering == "dear"
    assert choose([CHEAP, DEAR], POLICY).offering == "cheap"


def test_latency_decides_where_the_mode_pays_for_it() -> None:
    slow = replace(CHEAP, latency_ms=30_000)
    assert choose([slow, DEAR], POLICY).offering == "cheap"
    fast = ModePolicy(latency_price_usd_micro_per_s=20_000, spill_ppm=4 * PPM)
    assert choose([slow, DEAR], fast).offering == "dear"


def test_a_busy_offering_spills_over_within_the_bound_only() -> None:
    busy = replace(CHEAP, slots_free=0)
    assert choose([busy, DEAR], POLICY).offering == "dear"
    patient = ModePolicy(spill_ppm=PPM)
    waiting = choose([busy, DEAR], patient)
    assert waiting.offering is None
    assert {a.offering: a.reason for a in waiting.alternatives} == {
        "cheap": "busy",
        "dear": "waiting_is_cheaper",
    }


def test_a_blocked_offering_sets_no_bound() -> None:
    blocked = replace(CHEAP, refusal="breaker_open")
    choice = choose([blocked, DEAR], ModePolicy(spill_ppm=PPM))
    assert choice.offering == "dear"
    assert {a.offering: a.reason for a in choice.alternatives}["cheap"] == "breaker_open"


def test_what_was_tried_comes_last_but_is_better_than_nothing() -> None:
    tried = replace(CHEAP, tried=True)
    assert choose([tried, DEAR], POLICY).offering == "dear"
    assert choose([tried], POLICY).offering == "cheap"


def test_what_was_tried_is_not_tried_again_while_another_is_only_busy() -> None:
    tried, busy = replace(CHEAP, tried=True), replace(DEAR, slots_free=0)
    choice = choose([tried, busy], POLICY)
    assert choice.offering is None
    assert {a.offering: a.reason for a in choice.alternatives}["cheap"] == "already_tried"


def test_a_pinned_mode_never_uses_another() -> None:
    blocked = replace(CHEAP, refusal="breaker_open")
    assert choose([blocked, DEAR], ModePolicy(pinned=True)).offering is None


considered = st.builds(
    Considered,
    offering=st.uuids().map(str),
    provider=st.just("p"),
    price_usd_micro=st.integers(0, 10**6),
    success_rate_ppm=st.integers(0, PPM),
    pass_rate_ppm=st.integers(0, PPM),
    latency_ms=st.integers(0, 10**5),
    slots_free=st.integers(0, 3),
    refusal=st.sampled_from([None, None, "drained"]),
    tried=st.booleans(),
)


@given(st.lists(considered, max_size=6, unique_by=lambda offer: offer.offering))
def test_the_choice_may_start_and_every_alternative_has_a_reason(offers: list[Considered]) -> None:
    choice = choose(offers, POLICY)
    assert {a.offering for a in choice.alternatives} == {offer.offering for offer in offers}
    assert all(a.reason for a in choice.alternatives)
    assert sum(a.chosen for a in choice.alternatives) == (choice.offering is not None)
    for offer in offers:
        if offer.offering == choice.offering:
            assert offer.refusal is None
            assert offer.slots_free > 0
        elif offer.refusal is None and offer.slots_free > 0 and not offer.tried and choice.offering:
            chosen = next(o for o in offers if o.offering == choice.offering)
            assert not chosen.tried
            assert effective_price_usd_micro(chosen, POLICY) <= effective_price_usd_micro(offer, POLICY)


def test_above_the_price_the_cap_leaves_nothing_is_chosen() -> None:
    busy = replace(CHEAP, slots_free=0)
    assert choose([busy, DEAR], POLICY).offering == "dear"
    waits = choose([busy, DEAR], POLICY, price_max_usd_micro=3_000)
    assert waits.offering is None
    assert {alternative.offering: alternative.reason for alternative in waits.alternatives} == {
        "cheap": "busy",
        "dear": "over_cap",
    }
    assert choose([replace(CHEAP, tried=True), DEAR], POLICY, price_max_usd_micro=3_000).offering == "cheap"
