"""The bundled catalogues: every template and mode is served, every price has a source."""

from __future__ import annotations

from datetime import date

import pytest
import yaml

from services.router.domain.catalogue import Offering
from services.router.store.catalogue import CATALOGUE_FOLDER, OFFERINGS, SIMULATED_OFFERINGS, read_catalogue
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
