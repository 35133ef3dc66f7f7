"""Prices of an output: by template, version, mode and time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.ledger.domain.prices import PriceList, PriceRule, Quote, quote
from services.ledger.store.prices import PRICES_FOLDER, read_prices
from winnow.contracts.errors import ErrorCode, Refused
from winnow.contracts.money import AMOUNT_MAX
from winnow.contracts.values import Mode

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
JUNE = datetime(2026, 6, 1, tzinfo=UTC)


def price_list(version: int, starts_at: datetime, price: int) -> PriceList:
    return PriceList(
        version,
        starts_at,
        (
            PriceRule("shot", {Mode.stable: price, Mode.fast: 2 * price}, "shot", 1),
            PriceRule("shot_v2", {Mode.stable: 3 * price}, "shot", 2),
        ),
        PriceRule("default", {Mode.stable: 7 * price}),
    )


LISTS = (price_list(2, JUNE, 100), price_list(1, JANUARY, 10))


def ask(
    template: str = "shot", version: int = 1, mode: str = "stable", k: int = 4, now: datetime = JANUARY
) -> Quote:
    return quote(LISTS, template=template, template_version=version, mode=mode, k=k, now=now)


@pytest.mark.parametrize(
    ("asked", "price", "rule"),
    [
        (ask(), 10, "prices.v1/shot/stable"),
        (ask(mode="fast"), 20, "prices.v1/shot/fast"),
        (ask(version=2), 30, "prices.v1/shot_v2/stable"),
        (ask(version=0), 30, "prices.v1/shot_v2/stable"),
        (ask(version=3), 70, "prices.v1/default/stable"),
        (ask("other"), 70, "prices.v1/default/stable"),
        (ask(now=JUNE), 100, "prices.v2/shot/stable"),
    ],
)
def test_quote_follows_template_version_mode_and_time(asked: Quote, price: int, rule: str) -> None:
    assert asked == Quote(price, 4 * price, rule)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"template": ""}, ErrorCode.invalid_request),
        ({"mode": "psychic"}, ErrorCode.unknown_mode),
        ({"mode": "low_cost"}, ErrorCode.unknown_mode),
        ({"k": 0}, ErrorCode.out_of_bounds),
        ({"k": AMOUNT_MAX}, ErrorCode.out_of_bounds),
    ],
)
def test_quote_is_refused(asked: dict[str, object], code: ErrorCode) -> None:
    with pytest.raises(Refused) as refused:
        ask(**asked)  # type: ignore[arg-type]
    assert refused.value.code is code


def test_quote_before_any_list_holds_is_a_fault() -> None:
    with pytest.raises(ValueError, match="no price list"):
        ask(now=datetime(2020, 1, 1, tzinfo=UTC))


def test_bundled_lists_price_cheap_below_stable_below_fast() -> None:
    for prices in read_prices(PRICES_FOLDER):
        assert {(priced.template, priced.template_version) for priced in prices.rules} >= {
            ("studio_headshot", 1),
            ("product_shot", 1),
        }
        for rule in (*prices.rules, prices.default):
            amounts = [rule.price_credits_micro[mode] for mode in (Mode.low_cost, Mode.stable, Mode.fast)]
            assert amounts == sorted(set(amounts))
