"""Price of an output: by result, from a versioned list of rules. A pure function of lists, order and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from winnow.contracts.errors import ErrorCode, Refused
from winnow.contracts.money import AMOUNT_MAX
from winnow.contracts.values import Mode


@dataclass(frozen=True, slots=True)
class PriceRule:
    """The price of one output of a template version, by mode; amounts in micro-credits."""

    rule: str
    price_credits_micro: Mapping[Mode, int]
    template: str = ""
    template_version: int = 0


@dataclass(frozen=True, slots=True)
class PriceList:
    """Rules that hold from ``starts_at`` until the next list does; ``default`` prices what no rule names."""

    version: int
    starts_at: datetime
    rules: tuple[PriceRule, ...]
    default: PriceRule


@dataclass(frozen=True, slots=True)
class Quote:
    """The price of one output, what is reserved for K of them, and the rule that says so."""

    price_per_output_credits_micro: int
    reserve_credits_micro: int
    price_rule: str


def quote(
    lists: Sequence[PriceList], *, template: str, template_version: int, mode: str, k: int, now: datetime
) -> Quote:
    """Price an order of ``k`` outputs at ``now``; ``template_version`` 0 asks for the newest that has a rule.

    Raises Refused: ``invalid_request`` without a template, ``unknown_mode``, ``out_of_bounds`` for a ``k``
    below 1 or a price beyond the largest amount.
    """
    if not template:
        raise Refused(ErrorCode.invalid_request, "A quote needs a template.")
    wanted = next((known_mode for known_mode in Mode if known_mode.value == mode), None)
    prices = list_at(lists, now)
    rule = _rule_for(prices, template, template_version)
    if wanted is None or wanted not in rule.price_credits_micro:
        known = ", ".join(sorted(priced.value for priced in rule.price_credits_micro))
        raise Refused(ErrorCode.unknown_mode, f"The template has no such mode; known are: {known}.")
    price = rule.price_credits_micro[wanted]
    if k < 1 or k * price > AMOUNT_MAX:
        raise Refused(
            ErrorCode.out_of_bounds, "k is at least 1, and its price has to fit the largest amount."
        )
    return Quote(price, k * price, f"prices.v{prices.version}/{rule.rule}/{wanted.value}")


def list_at(lists: Sequence[PriceList], now: datetime) -> PriceList:
    """Return the list that holds at ``now``; raises ValueError when none does yet."""
    begun = [price_list for price_list in lists if price_list.starts_at <= now]
    if not begun:
        raise ValueError("no price list holds yet")
    return max(begun, key=lambda price_list: (price_list.starts_at, price_list.version))


def _rule_for(prices: PriceList, template: str, template_version: int) -> PriceRule:
    named = [rule for rule in prices.rules if rule.template == template]
    if template_version:
        named = [rule for rule in named if rule.template_version == template_version]
    return max(named, key=lambda rule: rule.template_version, default=prices.default)
