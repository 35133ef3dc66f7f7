"""The catalogue's files, and what they allow to be bought."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from services.router.domain.catalogue import Price, PriceUnit
from services.router.store import CATALOGUE_FOLDER, read_catalogue
from tests.unit.router.builders import market, offering, template
from winnow.contracts.values import Mode


def test_the_bundled_catalogue_serves_every_template_in_every_mode() -> None:
    catalogue = read_catalogue()
    assert {name for name, _ in catalogue.templates} == {
        "studio_headshot",
        "product_shot",
        "ad_creative",
        "background_removal",
    }
    for one in catalogue.templates.values():
        assert set(one.modes) == set(Mode)
        for mode in Mode:
            capable = catalogue.capable(one, mode, width=1024, height=1024)
            assert capable
            assert one.modes[mode].pinned is (mode is Mode.stable)
            for found in capable:
                assert found.price_on(date(2026, 11, 21), width=1024, height=1024)


def test_the_router_and_the_public_catalogue_name_the_same_templates() -> None:
    public = Path(CATALOGUE_FOLDER).parents[1] / "ingest" / "catalogue" / "templates.yaml"
    offered = yaml.safe_load(public.read_text("utf-8"))["templates"]
    templates = read_catalogue().templates
    assert {(one["name"], one["version"]) for one in offered} == set(templates)
    for one in offered:
        modes = {mode.value for mode in templates[one["name"], one["version"]].modes}
        assert set(one["modes"]) == modes


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("max_n: 4", "max_n: 0"),
        ("max_n: 4", "max_nn: 4"),
        ("price_usd_micro: 3000", "price_usd_micro: 3000.5"),
        ("name: openai-gpt-image", "name: fal-flux-schnell"),
        ("name: replicate-flux-dev", "name: something-else"),
    ],
    ids=["out of bounds", "misspelt", "not whole", "twice", "unknown to a template"],
)
def test_a_wrong_catalogue_is_refused(tmp_path: Path, old: str, new: str) -> None:
    for name in ("offerings.yaml", "templates.yaml"):
        text = (CATALOGUE_FOLDER / name).read_text("utf-8")
        (tmp_path / name).write_text(text.replace(old, new) if name == "offerings.yaml" else text)
    with pytest.raises((ValidationError, ValueError)):
        read_catalogue(tmp_path)


def test_a_price_holds_from_its_start_until_its_end() -> None:
    prices = (
        Price(3000, date(2026, 1, 1), date(2026, 7, 1)),
        Price(2000, date(2026, 7, 1)),
    )
    one = offering("o", prices=prices)
    days = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 6, 30), date(2026, 7, 1)]
    assert [one.price_on(day, width=1, height=1) for day in days] == [None, 3000, 3000, 2000]


def test_a_retired_offering_has_no_price() -> None:
    one = offering("o", retired_on=date(2026, 11, 1))
    assert one.price_on(date(2026, 10, 31), width=1, height=1) == 3000
    assert one.price_on(date(2026, 11, 1), width=1, height=1) is None


def test_a_price_per_megapixel_is_rounded_up() -> None:
    one = offering("o", price_unit=PriceUnit.megapixel)
    sizes = [(512, 512), (1024, 1024), (1025, 1024), (2048, 2048)]
    prices = [one.price_on(date(2026, 2, 1), width=w, height=h) for w, h in sizes]
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
    outlook = on.outlook("t", 1, Mode.low_cost, width=512, height=512)
    assert outlook is not None
    assert (outlook.offering, outlook.price_usd_micro, outlook.pass_rate_ppm) == ("good", 3000, 600_000)
    assert on.outlook("t", 2, Mode.low_cost, width=512, height=512) is None
    assert on.outlook("t", 1, Mode.low_cost, width=4096, height=512) is None
    assert template().modes.keys() == set(Mode)
