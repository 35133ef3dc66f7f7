"""Files of price lists: read from a folder or a template, or refused by name."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.ledger.domain.prices import PriceRule, Quote, quote
from services.ledger.store.prices import read_prices
from tests.support.builders.templates import copied_templates
from winnow.contracts.values import Mode
from winnow.templates import read_templates

JUNE = datetime(2026, 6, 1, tzinfo=UTC)
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
