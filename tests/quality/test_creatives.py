"""Simulated advertisements and cut-outs with known truth: clean ones pass, each fault is named by its dimension."""

from __future__ import annotations

from functools import cache

import pytest

from services.scorer.domain import CandidateScore
from services.scorer.domain.references import Wording
from simulators.defects import CARDS, Defect
from simulators.photos.advert import AdWording
from simulators.photos.studio import Subject
from simulators.renderer import OutputFormat, Renderer, RenderRequest
from tests.quality.judging import desk, missed, profiles

WORDINGS = (
    AdWording(("MORNING BREW", "50% OFF TODAY"), ("#1b4d3e", "#e4002b")),
    AdWording(("Fresh every day",), ("#f2c14e",)),
    AdWording(("Buy one get one", "This week only", "www.acme.com"), ("#6a0dad",)),
)
SIZES = ((512, 512), (540, 960))
FAULTS = (Defect.garbled_copy, Defect.copy_at_edge, Defect.faint_copy, Defect.wrong_colour)


@cache
def renderer() -> Renderer:
    return Renderer()


def advertisement(number: int, size: tuple[int, int], defect: Defect | None = None) -> CandidateScore:
    wording = WORDINGS[number]
    key = (511, number, size[0])
    made = renderer().render(RenderRequest(key, Subject.ad_creative, size, "jpeg", defect, None, wording))
    asked = Wording("\n".join(wording.lines), wording.colours)
    return desk().score(made.content, profiles().get("ad_creative"), None, asked)


def cut_out(number: int, defect: Defect | None, form: OutputFormat = "png") -> CandidateScore:
    made = renderer().render(RenderRequest((77, number), Subject.cut_out, (512, 512), form, defect))
    return desk().score(made.content, profiles().get("background_removal"))


def test_no_clean_advertisement_is_refused() -> None:
    found = {(number, size): advertisement(number, size) for number in range(len(WORDINGS)) for size in SIZES}
    assert {name: verdict.reasons for name, verdict in found.items() if not verdict.passed} == {}


@pytest.mark.parametrize("defect", FAULTS)
def test_a_fault_of_the_lettering_is_refused_by_its_own_dimension(defect: Defect) -> None:
    for number in range(len(WORDINGS)):
        found = advertisement(number, SIZES[0], defect)
        assert missed(found) & set(CARDS[defect].dimensions[Subject.ad_creative]), (number, found.reasons)


def test_copy_that_is_missed_by_one_word_is_refused() -> None:
    made = renderer().render(
        RenderRequest(
            (5, 1), Subject.ad_creative, (512, 512), "jpeg", None, None, AdWording(("MORNING BREW",))
        )
    )
    found = desk().score(
        made.content, profiles().get("ad_creative"), None, Wording("MORNING BREW\nOPEN DAILY")
    )
    assert missed(found) == {"copy_distance"}


def test_no_clean_cut_out_is_refused() -> None:
    found = {number: cut_out(number, None) for number in range(12)}
    assert {number: verdict.reasons for number, verdict in found.items() if not verdict.passed} == {}


@pytest.mark.parametrize("defect", [Defect.torn_cut_out, Defect.opaque_cut_out])
def test_a_fault_of_a_cut_out_is_refused_by_its_own_dimension(defect: Defect) -> None:
    for number in range(6):
        found = cut_out(number, defect)
        assert missed(found) & set(CARDS[defect].dimensions[Subject.cut_out]), (number, found.reasons)


def test_a_cut_out_sent_without_alpha_is_refused() -> None:
    assert "alpha_edges" in missed(cut_out(1, None, "jpeg"))
