"""Chunks, single objects and inputs, through the use cases."""

from __future__ import annotations

import numpy as np
import pytest

from services.scorer.app import SCORER_VERSION
from tests.unit.scorer.fakes import MemoryObjects, command, scorer_on, stored
from tests.unit.scorer.photographs import blurred, photograph, png, png_bomb, portrait
from winnow.contracts.errors import ErrorCode, Refused, Unavailable
from winnow.contracts.events import CandidatesScored

GOOD = png(portrait())
BLURRED = png(blurred(portrait(), 2))


async def test_score_chunk_answers_every_candidate_in_order_with_reasons() -> None:
    objects = MemoryObjects()
    asked = command(stored(objects, "good", GOOD), stored(objects, "blurred", BLURRED))
    event = await scorer_on(objects).score_chunk(asked)
    assert [candidate.candidate_id for candidate in event.candidates] == [
        candidate.candidate_id for candidate in asked.candidates
    ]
    assert [candidate.passed for candidate in event.candidates] == [True, False]
    assert "sharpness:below_threshold" in event.candidates[1].reasons
    assert event.candidates[0].score > event.candidates[1].score
    assert event.scorer_version == SCORER_VERSION
    assert len(event.candidates[0].perceptual_hash or "") == 16
    assert CandidatesScored.model_validate_json(event.model_dump_json()) == event


async def test_score_chunk_repeats_itself_exactly() -> None:
    objects = MemoryObjects()
    asked = command(stored(objects, "good", GOOD), stored(objects, "blurred", BLURRED))
    assert await scorer_on(objects).score_chunk(asked) == await scorer_on(objects).score_chunk(asked)


async def test_score_chunk_fails_only_the_candidate_whose_bytes_are_not_the_announced_ones() -> None:
    objects = MemoryObjects()
    pictures = [stored(objects, key, GOOD) for key in ("good", "swapped", "missing", "large")]
    objects.bodies["swapped"] = BLURRED
    del objects.bodies["missing"]
    objects.too_large.add("large")
    event = await scorer_on(objects).score_chunk(command(*pictures))
    assert [candidate.passed for candidate in event.candidates] == [True, False, False, False]
    reasons = [candidate.dimensions[0].evidence.get("reason") for candidate in event.candidates[1:]]
    assert reasons == ["object_differs", "object_missing", "object_too_large"]
    assert all(candidate.score == 0 for candidate in event.candidates[1:])


async def test_score_chunk_postpones_when_the_store_is_down() -> None:
    objects = MemoryObjects()
    asked = command(stored(objects, "good", GOOD))
    objects.is_down = True
    with pytest.raises(ExceptionGroup) as raised:
        await scorer_on(objects).score_chunk(asked)
    assert raised.group_contains(Unavailable)


async def test_score_chunk_refuses_an_unknown_profile_version() -> None:
    objects = MemoryObjects()
    with pytest.raises(Refused) as refused:
        await scorer_on(objects).score_chunk(command(stored(objects, "good", GOOD), version=99))
    assert refused.value.code is ErrorCode.unknown_profile


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"not an image", ErrorCode.image_not_decodable),
        (GOOD[:10_000], ErrorCode.image_not_decodable),
        (png_bomb(10_000, 10_000), ErrorCode.image_too_large),
        (png(np.zeros((20, 20, 3), np.uint8)), ErrorCode.image_too_small),
    ],
    ids=["text", "truncated", "100 megapixels", "tiny"],
)
async def test_screen_refuses_what_cannot_be_used(content: bytes, code: ErrorCode) -> None:
    result = await scorer_on(MemoryObjects()).screen(content)
    assert not result.accepted
    assert result.code is code
    assert result.detail


async def test_screen_accepts_and_advises() -> None:
    scorer = scorer_on(MemoryObjects())
    good = await scorer.screen(GOOD, "headshot")
    assert (good.accepted, good.width, good.height, good.content_type) == (True, 512, 512, "image/png")
    assert good.advice == ()
    assert "no_face" in (await scorer.screen(png(photograph("coffee.png")), "headshot")).advice
    assert "no_face" not in (await scorer.screen(png(photograph("coffee.png")), "product")).advice
    assert "several_faces" in (await scorer.screen(png(np.hstack([portrait()] * 2)), "headshot")).advice
    assert {"blurred", "low_resolution"} <= set((await scorer.screen(png(blurred(portrait(), 3)))).advice)


async def test_screen_advises_with_numbers_and_a_sentence() -> None:
    scorer = scorer_on(MemoryObjects())
    far = np.pad(portrait(), ((0, 300), (0, 300), (0, 0)), mode="edge")
    (hint,) = (await scorer.screen(png(far), "headshot")).hints
    assert (hint.code, hint.needed, hint.unit) == ("small_face", 0.03, "share of the frame")
    assert 0.01 < hint.measured < 0.03
    assert (
        hint.sentence == f"the face covers {100 * hint.measured:.1f} % of the frame, at least 3 % is advised"
    )
    soft = {hint.code: hint for hint in (await scorer.screen(png(blurred(portrait(), 3)))).hints}
    assert soft["blurred"].measured < soft["blurred"].needed == 0.6
    assert "pixels of detail" in soft["low_resolution"].sentence


async def test_screen_object_refuses_a_too_large_upload() -> None:
    objects = MemoryObjects()
    objects.too_large.add("large")
    result = await scorer_on(objects).screen_object("winnow-private", "large", None)
    assert result.code is ErrorCode.image_too_large
