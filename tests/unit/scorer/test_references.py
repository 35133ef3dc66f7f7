"""Inputs that candidates are compared with: the reference, the words of the prompt, and what lacks them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from services.scorer.app import Scorer
from services.scorer.app.reference_inputs import (
    INPUTS_MAX,
    REQUEST_BYTES_MAX,
    ReferenceReader,
    requested_words,
)
from services.scorer.dimensions import DIMENSIONS
from services.scorer.domain import CandidateScore
from services.scorer.domain.references import LIKE_REFERENCE, MissingInput, References
from services.scorer.engine.measure import measure_bytes
from services.scorer.engine.pool import ScoringPool
from services.scorer.engine.references import ReferenceAnalyses
from services.scorer.vision.model_set import Models
from tests.unit.scorer.fakes import InProcess, MemoryObjects, command, scorer_on, stored
from tests.unit.scorer.photographs import blurred, exposed, photograph, png, portrait, reshaped
from winnow.contracts.commands import ScoreCandidates
from winnow.contracts.errors import ErrorCode, NotFound, Refused, Unavailable
from winnow.contracts.events import CandidatesScored
from winnow.contracts.values import MeasureStatus, StoredObject

GOOD = png(portrait())
COFFEE = png(photograph("coffee.png"))
DARK = exposed(portrait(), -2.5)
ALIGNED = frozenset({"prompt_alignment"})
FAULT = MeasureStatus.failure_to_assess
SENTENCE = "a portrait of an astronaut before a flag"


def request_body(prompt: object = SENTENCE) -> bytes:
    return json.dumps({"prompt": prompt, "negative_prompt": None, "inputs": [], "order": {}}).encode()


def likeness(objects: MemoryObjects, *inputs: StoredObject, version: int = 2) -> ScoreCandidates:
    candidates = stored(objects, "first", GOOD), stored(objects, "second", png(blurred(portrait(), 0.3)))
    request = stored(objects, "request", request_body())
    asked = command(*candidates, version=version)
    return asked.model_copy(update={"inputs": list(inputs), "request": request})


async def score_single(scorer: Scorer, **named: str) -> CandidateScore:
    return await scorer.score_object("winnow-private", "picture", "headshot", 2, **named)


def told(event: CandidatesScored, dimension: str) -> list[tuple[MeasureStatus, object]]:
    found = [
        measured for each in event.candidates for measured in each.dimensions if measured.name == dimension
    ]
    return [(measured.status, measured.evidence.get("reason")) for measured in found]


def raws(event: CandidatesScored, dimension: str) -> list[float | None]:
    return [
        measured.raw
        for each in event.candidates
        for measured in each.dimensions
        if measured.name == dimension
    ]


async def test_candidates_are_compared_with_the_first_input_that_shows_a_face(models: Models) -> None:
    objects, measurer = MemoryObjects(), InProcess()
    inputs = [stored(objects, key, body) for key, body in (("cup", COFFEE), ("face", GOOD), ("more", COFFEE))]
    event = await scorer_on(objects, measurer).score_chunk(likeness(objects, *inputs))
    assert [references.reference for references in measurer.references] == [None, None, GOOD, GOOD]
    assert raws(event, "identity_distance")[0] == pytest.approx(0, abs=1e-5)
    assert all(raw is not None and raw < 0.3 for raw in raws(event, "identity_distance"))
    assert objects.reads.count("cup") == objects.reads.count("face") == 1
    assert "more" not in objects.reads


async def test_another_face_and_another_tone_do_not_pass(models: Models) -> None:
    for reference, dimension in ((reshaped(portrait()), "identity_distance"), (DARK, "skin_tone_shift")):
        objects = MemoryObjects()
        event = await scorer_on(objects).score_chunk(
            likeness(objects, stored(objects, "reference", png(reference)))
        )
        assert [candidate.passed for candidate in event.candidates] == [False, False]
        assert all(f"{dimension}:below_threshold" in candidate.reasons for candidate in event.candidates)


async def test_without_inputs_or_without_a_face_among_them_likeness_does_not_apply(models: Models) -> None:
    objects = MemoryObjects()
    cup = stored(objects, "cup", COFFEE)
    for inputs, reason in (([], "no_reference"), ([cup], "no_face_in_inputs")):
        event = await scorer_on(objects).score_chunk(likeness(objects, *inputs))
        for dimension in LIKE_REFERENCE:
            assert told(event, dimension) == [(MeasureStatus.not_applicable, reason)] * 2


async def test_a_reference_that_cannot_be_read_is_a_fault_and_not_a_pass(models: Models) -> None:
    objects = MemoryObjects()
    gone, large, swapped, text = (
        stored(objects, key, body)
        for key, body in (("gone", GOOD), ("large", GOOD), ("swapped", GOOD), ("text", b"no picture"))
    )
    objects.too_large.add("large")
    objects.bodies["swapped"] = COFFEE
    del objects.bodies["gone"]
    faulty = {
        "reference_missing": gone,
        "reference_too_large": large,
        "reference_differs": swapped,
        "reference_not_assessed": text,
    }
    for reason, reference in faulty.items():
        event = await scorer_on(objects).score_chunk(
            likeness(objects, reference, stored(objects, "face", GOOD))
        )
        assert told(event, "identity_distance") == [(FAULT, reason)] * 2
        assert [each.passed for each in event.candidates] == [False, False]


async def test_a_fault_of_the_reference_does_not_hide_one_of_the_candidate(models: Models) -> None:
    objects = MemoryObjects()
    gone = stored(objects, "gone", GOOD)
    del objects.bodies["gone"]
    asked = likeness(objects, gone)
    objects.bodies["second"] = GOOD
    event = await scorer_on(objects).score_chunk(asked)
    assert told(event, "identity_distance") == [(FAULT, "reference_missing"), (FAULT, "object_differs")]


async def test_a_store_that_does_not_answer_postpones_the_chunk() -> None:
    objects = MemoryObjects()
    asked = likeness(objects, stored(objects, "face", GOOD)).model_copy(update={"candidates": []})
    objects.is_down = True
    with pytest.raises(Unavailable):
        await scorer_on(objects).score_chunk(asked)


async def test_nothing_is_read_for_a_profile_that_compares_with_nothing() -> None:
    objects = MemoryObjects()
    await scorer_on(objects).score_chunk(likeness(objects, stored(objects, "face", GOOD), version=1))
    assert sorted(objects.reads) == ["first", "second"]


async def test_the_prompt_is_that_of_the_request() -> None:
    objects = MemoryObjects()
    request = stored(objects, "request", request_body())
    reader = ReferenceReader(objects, InProcess())
    found = await reader.find(request, [stored(objects, "face", GOOD)], ALIGNED)
    assert (found.references, dict(found.missing)) == (References(prompt=SENTENCE), {})
    assert (await reader.find(None, [], ALIGNED)).references == References()
    assert objects.reads == ["request"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{ not json", "request_not_readable"),
        (b"[" * 100_000, "request_not_readable"),
        (b"\xff\xfe", "request_not_readable"),
        (b'["a prompt"]', "request_not_readable"),
        (request_body(None), "request_not_readable"),
        (request_body("  "), "request_not_readable"),
        (b" " * (REQUEST_BYTES_MAX + 1), "request_too_large"),
        (None, "request_missing"),
    ],
    ids=["no json", "deep", "no text", "a list", "no prompt", "blank", "too large", "absent"],
)
async def test_a_request_that_cannot_be_read_is_a_fault(body: bytes | None, reason: str) -> None:
    objects = MemoryObjects()
    request = stored(objects, "request", body or b"")
    if body is None:
        del objects.bodies["request"]
    found = await ReferenceReader(objects, InProcess()).find(request, [], ALIGNED)
    assert found.missing == {"prompt_alignment": MissingInput(FAULT, reason)}
    assert found.references == References()


def test_a_request_larger_than_announced_is_not_parsed() -> None:
    with pytest.raises(ValueError, match="no request"):
        requested_words(request_body("a" * REQUEST_BYTES_MAX))


async def test_inputs_are_looked_through_up_to_a_limit() -> None:
    objects, measurer = MemoryObjects(), InProcess()
    cups = [stored(objects, f"cup-{index}", COFFEE) for index in range(INPUTS_MAX + 4)]
    await ReferenceReader(objects, measurer).find(None, cups, LIKE_REFERENCE)
    assert len(objects.reads) == len(measurer.references) == INPUTS_MAX


def test_what_is_given_is_never_shown() -> None:
    assert repr(References(GOOD, SENTENCE)) == "References()"


def test_the_dimensions_that_compare_with_a_reference_are_those_that_ask_for_one(models: Models) -> None:
    measured = measure_bytes(GOOD, frozenset(DIMENSIONS), models)
    asking = {
        measurement.name
        for measurement in measured.measurements
        if measurement.evidence.get("reason") == "no_reference"
    }
    assert asking == LIKE_REFERENCE


def test_a_reference_is_decoded_once_and_forgotten_when_others_need_the_room(models: Models) -> None:
    pixels = portrait().shape[0] * portrait().shape[1]
    references = ReferenceAnalyses(models, pixels_kept=2 * pixels)
    wanted = frozenset({"identity_distance"})
    contents = [png(np.ascontiguousarray(np.roll(portrait(), index, axis=1))) for index in range(3)]
    for content in (contents[0], contents[0], contents[1], contents[0]):
        measure_bytes(GOOD, wanted, models, content, references=references)
    assert references.decoded_count == 2
    measure_bytes(GOOD, wanted, models, contents[2], references=references)
    kept = measure_bytes(GOOD, wanted, models, contents[0], references=references)
    assert references.decoded_count == 3
    measure_bytes(GOOD, wanted, models, contents[1], references=references)
    assert references.decoded_count == 4
    assert kept == measure_bytes(GOOD, wanted, models, contents[0])


async def test_a_scoring_process_compares_with_the_reference_it_is_given(models: Models) -> None:
    wanted = frozenset(LIKE_REFERENCE)
    pool = ScoringPool(1)
    await pool.start(wanted)
    try:
        for reference in (GOOD, png(reshaped(portrait())), GOOD):
            measured = await pool.measure(GOOD, wanted, References(reference))
            assert measured == measure_bytes(GOOD, wanted, models, reference)
    finally:
        pool.stop()


async def test_one_object_is_compared_with_what_the_caller_names(models: Models) -> None:
    objects, measurer = MemoryObjects(), InProcess()
    objects.bodies = {"picture": GOOD, "face": GOOD, "request": request_body(), "no-request": b"{}"}
    scorer = scorer_on(objects, measurer)
    score = await score_single(scorer, reference_key="face", request_key="request")
    assert measurer.references == [References(GOOD, SENTENCE)]
    found = {each.name: each for each in score.dimensions}
    assert found["identity_distance"].raw == pytest.approx(0, abs=1e-5)
    with pytest.raises(NotFound):
        await score_single(scorer, reference_key="absent")
    with pytest.raises(Refused) as refused:
        await score_single(scorer, request_key="no-request")
    assert refused.value.code is ErrorCode.invalid_request
