"""Choice of the offering of an attempt: the least effective price per accepted output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.router.domain.catalogue import PPM, ModePolicy
from winnow.contracts.values import Alternative

RATE_FLOOR_PPM = 10_000
"""Rates below 1 % count as 1 %, so that a price stays finite."""


@dataclass(frozen=True, slots=True)
class Considered:
    """An offering as it stands now. ``refusal`` says why it may not start an attempt; None: it may.

    ``overhead_ppm`` is the share of its price that goes into billed attempts without a result.
    ``tried`` says that these candidates were already tried there.
    """

    offering: str
    provider: str
    price_usd_micro: int
    success_rate_ppm: int
    pass_rate_ppm: int
    latency_ms: int
    slots_free: int
    refusal: str | None = None
    tried: bool = False
    overhead_ppm: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen offering, or None when it is better to wait; with all that was weighed."""

    offering: str | None
    price_usd_micro: int
    alternatives: tuple[Alternative, ...]


def effective_price_usd_micro(considered: Considered, policy: ModePolicy) -> int:
    """Return the expected price of one accepted output, in USD micro.

    ``price × (1 + retry overhead) / (P(success) × P(pass)) + latency × latency price``, rounded up
    (docs/design.md#price-per-accepted-output).
    """
    success = max(RATE_FLOOR_PPM, considered.success_rate_ppm)
    passes = max(RATE_FLOOR_PPM, considered.pass_rate_ppm)
    paid = considered.price_usd_micro * (PPM + considered.overhead_ppm) * PPM
    waiting = considered.latency_ms * policy.latency_price_usd_micro_per_s // 1000
    return -(-paid // (success * passes)) + waiting


def choose(
    considered: Sequence[Considered], policy: ModePolicy, *, price_max_usd_micro: int | None = None
) -> Choice:
    """Choose the cheapest offering that may start now, at most at ``price_max_usd_micro`` where it is given.

    An offering that was already tried is taken only when every other is blocked. A more expensive offering
    replaces a busy or blocked better offering only within the mode's spill bound. A blocked offering
    (breaker, drained, Retry-After) sets no bound, since it may stay away.
    """
    priced = sorted(
        ((effective_price_usd_micro(offer, policy), offer) for offer in considered),
        key=lambda pair: (pair[1].tried, pair[0], pair[1].offering),
    )
    if policy.pinned:
        priced = priced[:1]
    over_cap = {
        offer.offering
        for _, offer in priced
        if price_max_usd_micro is not None and offer.price_usd_micro > price_max_usd_micro
    }
    has_untried = any(
        not offer.tried and offer.refusal is None and offer.offering not in over_cap for _, offer in priced
    )
    bound: int | None = None
    chosen: Considered | None = None
    reasons: dict[str, str] = {}
    for effective, offer in priced:
        if offer.offering in over_cap:
            reasons[offer.offering] = "over_cap"
        elif offer.refusal is not None:
            reasons[offer.offering] = offer.refusal
        elif offer.tried and has_untried:
            reasons[offer.offering] = "already_tried"
        elif bound is not None and effective > bound:
            reasons[offer.offering] = "waiting_is_cheaper" if chosen is None else "dearer"
        elif offer.slots_free <= 0:
            reasons[offer.offering] = "busy"
            bound = effective * policy.spill_ppm // PPM if bound is None else bound
        elif chosen is None:
            chosen = offer
            reasons[offer.offering] = "only_one_left" if offer.tried else "least_effective_price"
        else:
            reasons[offer.offering] = "dearer"
    alternatives = tuple(
        Alternative(
            offering=offer.offering,
            provider=offer.provider,
            price_usd_micro=offer.price_usd_micro,
            effective_price_usd_micro=effective,
            pass_rate_ppm=offer.pass_rate_ppm,
            success_rate_ppm=offer.success_rate_ppm,
            chosen=offer is chosen,
            reason=reasons[offer.offering],
        )
        for effective, offer in priced
    )
    if chosen is None:
        return Choice(None, 0, alternatives)
    return Choice(chosen.offering, chosen.price_usd_micro, alternatives)
