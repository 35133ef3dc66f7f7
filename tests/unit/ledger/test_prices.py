"""Price of an output, and the content of a price list."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.ledger.domain.prices import PriceList, PriceRule, Quote, quote
from services.ledger.store.prices import PRICES_FOLDER, read_prices
from tests.support.builders.templates import copied_templates
from winnow.contracts.errors import ErrorCode, Refused
from winnow.contracts.money import AMOUNT_MAX
from winnow.contracts.values import Mode
from winnow.templates import read_templates

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


LIST = """
version: 1
starts_at: 2026-01-01T00:00:00Z
rules:
  - {rule: shot, template: shot, template_version: 1, price_credits_micro: {stable: 5}}
default: {rule: default, price_credits_micro: {stable: 7}}
"""


def test_price_lists_are_read_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "v1.yaml").write_text(LIST)
    (prices,) = read_prices(tmp_path)
    assert prices.rules == (PriceRule("shot", {Mode.stable: 5}, "shot", 1),)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("stable: 5", "stable: 0"),
        ("stable: 5", "stable: -1"),
        ("stable: 5", "stable: 5.0"),
        ("stable: 5", "psychic: 5"),
        ("{stable: 5}", "{}"),
        ("template_version: 1,", ""),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00+02:00"),
        ("default: {rule: default, price_credits_micro: {stable: 7}}", ""),
        ("version: 1\nstarts", "version: 1\nsurprise: 1\nstarts"),
        ("rules:", "rules: ["),
    ],
)
def test_price_list_that_is_wrong_is_refused_by_name(tmp_path: Path, old: str, new: str) -> None:
    assert old in LIST
    (tmp_path / "v1.yaml").write_text(LIST.replace(old, new))
    with pytest.raises(ValueError, match=r"v1\.yaml"):
        read_prices(tmp_path)


HEAD = LIST.replace(
    "rules:\n  - {rule: shot, template: shot, template_version: 1, price_credits_micro: {stable: 5}}\n", ""
)


def test_a_list_without_rules_takes_them_from_the_templates(tmp_path: Path) -> None:
    (tmp_path / "v1.yaml").write_text(HEAD)
    (prices,) = read_prices(tmp_path)
    assert prices.default.price_credits_micro == {Mode.stable: 7}
    named = {(rule.template, rule.template_version): rule for rule in prices.rules}
    assert set(named) == {(file.name, file.version) for file in read_templates()}
    assert named["product_shot", 1].price_credits_micro[Mode.stable] == 1_200_000


@pytest.mark.parametrize(
    ("template", "mode", "quoted"),
    [
        ("studio_headshot", "low_cost", Quote(800_000, 1_600_000, "prices.v1/studio_headshot/low_cost")),
        ("product_shot", "fast", Quote(1_800_000, 3_600_000, "prices.v1/product_shot/fast")),
        ("ad_creative", "stable", Quote(1_500_000, 3_000_000, "prices.v1/default/stable")),
        ("background_removal", "low_cost", Quote(1_200_000, 2_400_000, "prices.v1/default/low_cost")),
        ("unheard_of", "fast", Quote(2_250_000, 4_500_000, "prices.v1/default/fast")),
    ],
)
def test_bundled_prices_and_their_rules_are_those_that_orders_have_been_pinned_to(
    template: str, mode: str, quoted: Quote
) -> None:
    assert quote(read_prices(), template=template, template_version=1, mode=mode, k=2, now=JUNE) == quoted


def test_lists_with_rules_of_their_own_read_no_template(tmp_path: Path) -> None:
    (tmp_path / "v1.yaml").write_text(LIST)
    assert read_prices(tmp_path, tmp_path / "nowhere") == read_prices(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("price_list: 1", "price_list: 2", r"prices: the rows are of lists \[2\]"),
        ("price_list: 1", "list: 1", r"prices\.0\.price_list: Field required"),
        (
            "stable: 1200000",
            "stable: 0",
            r"prices\.0\.price_credits_micro\.stable: Input should be greater than 0",
        ),
        ("stable: 1200000, ", "", r"prices\.0\.price_credits_micro: each mode"),
        ("  stable: {pinned: true}\n", "", r"prices\.0\.price_credits_micro: each mode"),
    ],
)
def test_a_wrong_price_of_a_template_is_refused_by_file_field_and_reason(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    path = copied_templates(tmp_path) / "product_shot.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=rf"product_shot\.yaml: {fault}"):
        read_prices(templates_folder=tmp_path)


def test_two_lists_of_one_version_or_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        read_prices(tmp_path)
    (tmp_path / "a.yaml").write_text(LIST)
    (tmp_path / "b.yaml").write_text(LIST)
    with pytest.raises(ValueError, match="one version each"):
        read_prices(tmp_path)
