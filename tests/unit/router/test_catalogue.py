"""The catalogue's files, and what they allow to be bought."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
import structlog.testing
import yaml

from services.router import metrics
from services.router.domain.catalogue import Offering, Price, PriceUnit
from services.router.store.catalogue import CATALOGUE_FOLDER, OFFERINGS, SIMULATED_OFFERINGS, read_catalogue
from tests.support.builders.templates import copied_templates
from tests.unit.router.builders import market, offering, template
from winnow.contracts.values import Mode

TODAY = date(2026, 11, 22)
BUNDLED = [OFFERINGS, SIMULATED_OFFERINGS]


@pytest.mark.parametrize("file", BUNDLED)
def test_the_bundled_catalogues_serve_every_template_in_every_mode(file: str) -> None:
    catalogue = read_catalogue(CATALOGUE_FOLDER, file)
    assert {name for name, _ in catalogue.templates} == {
        "studio_headshot",
        "product_shot",
        "ad_creative",
        "background_removal",
    }
    for recipe in catalogue.templates.values():
        assert set(recipe.modes) == set(Mode)
        for mode in Mode:
            capable = catalogue.capable(recipe, mode, width=1024, height=1024)
            assert capable
            assert recipe.modes[mode].pinned is (mode is Mode.stable)
            assert mode is not Mode.stable or len(capable) == 1
            for found in capable:
                assert found.price_on(TODAY, width=1024, height=1024)


def test_no_offering_has_a_prior_of_what_nobody_measured() -> None:
    """The rates that the simulators are made with are for the router to learn, and of real models none is known."""
    for file in BUNDLED:
        for listed in read_catalogue(CATALOGUE_FOLDER, file).offerings.values():
            neutral = Offering(listed.name, listed.provider)
            assert listed.pass_prior_ppm == {}
            assert listed.success_prior_ppm == neutral.success_prior_ppm
            assert listed.latency_prior_ms == neutral.latency_prior_ms


def test_simulated_offerings_are_named_as_such_and_real_ones_are_not() -> None:
    real = read_catalogue().offerings
    simulated = read_catalogue(CATALOGUE_FOLDER, SIMULATED_OFFERINGS).offerings
    for listed in simulated.values():
        assert listed.name.startswith("simulated-")
        assert listed.model.startswith("simulated")
    assert not any("simulated" in f"{listed.name} {listed.model}" for listed in real.values())


def test_every_price_of_a_real_offering_has_a_source_and_the_day_on_which_it_was_read() -> None:
    document = yaml.safe_load((CATALOGUE_FOLDER / OFFERINGS).read_text("utf-8"))
    for listed in document["offerings"]:
        for price in listed["prices"]:
            assert price["source"].startswith("https://"), listed["name"]
            assert date(2026, 1, 1) <= price["as_of"] <= TODAY, listed["name"]


def test_no_bundled_offering_is_retired() -> None:
    for file in BUNDLED:
        for listed in read_catalogue(CATALOGUE_FOLDER, file).offerings.values():
            assert not listed.is_retired_on(TODAY), listed.name


def test_a_template_may_name_the_offerings_of_its_pinned_mode(tmp_path: Path) -> None:
    offerings = (CATALOGUE_FOLDER / OFFERINGS).read_text("utf-8")
    lines = [line for line in offerings.splitlines() if "pinned_for" not in line]
    (tmp_path / "offerings.yaml").write_text("\n".join(lines))
    templates = copied_templates(tmp_path / "templates")
    for path in templates.glob("*.yaml"):
        pinned = "stable: {pinned: true, offerings: [replicate-flux-dev]}"
        path.write_text(path.read_text().replace("stable: {pinned: true}", pinned))
    template_ = read_catalogue(tmp_path, templates_folder=templates).templates["studio_headshot", 1]
    assert template_.modes[Mode.stable].offerings == ("replicate-flux-dev",)


def test_a_catalogue_with_traits_of_before_is_read(tmp_path: Path) -> None:
    former = "is_async: true, seed: true, replayable_submit: false, bills_on_cancel: true, "
    text = (CATALOGUE_FOLDER / OFFERINGS).read_text("utf-8")
    (tmp_path / OFFERINGS).write_text(text.replace("traits: {", f"traits: {{{former}"))
    assert read_catalogue(tmp_path) == read_catalogue()


def test_a_file_of_templates_in_the_catalogue_folder_is_refused(tmp_path: Path) -> None:
    shutil.copy(CATALOGUE_FOLDER / OFFERINGS, tmp_path)
    (tmp_path / "templates.yaml").write_text("templates: []")
    with pytest.raises(ValueError, match=r"templates\.yaml of a catalogue folder is not read"):
        read_catalogue(tmp_path)


def test_two_versions_of_a_template_are_both_routed(tmp_path: Path) -> None:
    templates = copied_templates(tmp_path)
    text = (templates / "product_shot.yaml").read_text()
    (templates / "product_shot-2.yaml").write_text(text.replace("version: 1\n", "version: 2\n", 1))
    assert {("product_shot", 1), ("product_shot", 2)} <= set(
        read_catalogue(templates_folder=templates).templates
    )


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("rounds_max: 3", "rounds_max: many", r"rounds\.rounds_max: Input should be a valid integer"),
        ("rounds_max: 3", "round_max: 3", r"rounds\.round_max: Unexpected keyword argument"),
        ("spill_ppm: 4000000", "spill: 4", r"modes\.low_cost\.spill: Unexpected keyword argument"),
        (
            "{pinned: true}",
            "{offerings: [nobody]}",
            r"modes\.stable\.offerings: unknown offerings: \['nobody'\]",
        ),
        ("name: product_shot", "name: other_shot", r"modes\.stable\.pinned: no offering is pinned"),
    ],
)
def test_a_wrong_part_of_a_template_is_refused_by_file_field_and_reason(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    templates = copied_templates(tmp_path)
    path = templates / "product_shot.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    offerings = tmp_path / "offerings"
    offerings.mkdir()
    listed = (
        (CATALOGUE_FOLDER / OFFERINGS)
        .read_text("utf-8")
        .replace("product_shot, ", "")
        .replace(", product_shot", "")
    )
    (offerings / "offerings.yaml").write_text(listed)
    with pytest.raises(ValueError, match=rf"product_shot\.yaml: {fault}"):
        read_catalogue(offerings if "name" in old else CATALOGUE_FOLDER, templates_folder=templates)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("max_n: 4", "max_n: 0"),
        ("max_n: 4", "max_nn: 4"),
        ("cancel: true", "cancels: true"),
        ("price_usd_micro: 3000", "price_usd_micro: 3000.5"),
        ("name: openai-gpt-image-2\n", "name: fal-flux-schnell\n"),
        ("pinned_for: [background_removal]", "pinned_for: [nothing]"),
        ("pinned_for: [background_removal]", "pinned_for: []"),
        ("https://replicate.com", "replicate.com"),
    ],
    ids=[
        "out of bounds",
        "misspelt",
        "misspelt trait",
        "not whole",
        "twice",
        "unknown template",
        "nothing pinned",
        "no source",
    ],
)
def test_a_wrong_catalogue_is_refused(tmp_path: Path, old: str, new: str) -> None:
    text = (CATALOGUE_FOLDER / "offerings.yaml").read_text("utf-8")
    assert old in text
    (tmp_path / "offerings.yaml").write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=r"^(offerings|background_removal)\.yaml: "):
        read_catalogue(tmp_path)


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
