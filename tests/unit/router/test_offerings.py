"""Offerings of a catalogue: prices and their days, retirement, and the sizes they make."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import structlog.testing

from services.router import metrics
from services.router.domain.catalogue import Price, PriceUnit
from tests.unit.router.builders import market, offering, template
from winnow.contracts.values import Mode

TODAY = date(2026, 11, 22)


def test_a_price_holds_from_its_start_until_its_end() -> None:
    prices = (
        Price(3000, date(2026, 1, 1), date(2026, 7, 1)),
        Price(2000, date(2026, 7, 1)),
    )
    priced = offering("o", prices=prices)
    days = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 6, 30), date(2026, 7, 1)]
    assert [priced.price_on(day, width=1, height=1) for day in days] == [None, 3000, 3000, 2000]


def test_a_retired_offering_has_no_price() -> None:
    retired = offering("o", retired_on=date(2026, 11, 1))
    assert retired.price_on(date(2026, 10, 31), width=1, height=1) == 3000
    assert retired.price_on(date(2026, 11, 1), width=1, height=1) is None
    assert not retired.is_retired_on(date(2026, 10, 31))
    assert retired.is_retired_on(date(2026, 11, 1))


def test_a_retired_offering_is_never_routed_to() -> None:
    gone = offering("gone", retired_on=TODAY, prices=(Price(1, date(2026, 1, 1)),))
    on = replace(market(gone, offering("dear")), day=TODAY)
    considered = on.consider(template(), Mode.low_cost, width=512, height=512)
    assert [offer.offering for offer in considered] == ["dear"]
    alone = replace(market(gone), day=TODAY)
    assert alone.estimate("t", 1, Mode.low_cost, width=512, height=512) is None


def test_a_start_warns_of_an_offering_past_its_end() -> None:
    gone = offering("gone", retired_on=TODAY, replaced_by="new")
    soon = offering("soon", retired_on=TODAY + timedelta(days=1))
    with structlog.testing.capture_logs() as logs:
        metrics.warn_of_retired([gone, soon, offering("lasting")], TODAY)
    assert [(log["event"], log["log_level"], log["offering"], log["replaced_by"]) for log in logs] == [
        ("router.offering.retired", "warning", "gone", "new")
    ]
    shown = {name: metrics.RETIRED.labels(name)._value.get() for name in ("gone", "soon", "lasting")}
    assert shown == {"gone": 1, "soon": 0, "lasting": 0}


def test_a_price_per_megapixel_is_rounded_up() -> None:
    priced = offering("o", price_unit=PriceUnit.megapixel)
    sizes = [(512, 512), (1024, 1024), (1025, 1024), (2048, 2048)]
    prices = [priced.price_on(date(2026, 2, 1), width=w, height=h) for w, h in sizes]
    assert prices == [3000, 3000, 6000, 12000]


def test_an_offering_makes_only_its_sizes() -> None:
    fixed = offering("o", sizes=((1024, 1024),))
    assert fixed.makes("image.headshot", width=1024, height=1024)
    assert not fixed.makes("image.headshot", width=1024, height=1536)
    free = offering("o", size_max=1024)
    assert free.makes("image.headshot", width=640, height=1024)
    assert not free.makes("image.headshot", width=640, height=1025)
    assert not free.makes("video", width=640, height=640)


def test_the_outlook_is_that_of_the_offering_the_mode_would_choose() -> None:
    on = market(offering("poor", pass_prior_ppm={"t": 100_000}), offering("good"))
    estimate = on.estimate("t", 1, Mode.low_cost, width=512, height=512)
    assert estimate is not None
    assert (estimate.offering, estimate.price_usd_micro, estimate.pass_rate_ppm) == ("good", 3000, 600_000)
    assert on.estimate("t", 2, Mode.low_cost, width=512, height=512) is None
    assert on.estimate("t", 1, Mode.low_cost, width=4096, height=512) is None
    assert template().modes.keys() == set(Mode)
