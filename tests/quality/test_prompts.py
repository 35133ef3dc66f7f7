"""Prompts beside photographs by labels alone: told apart where both are plain, and no answer where they are not."""

from __future__ import annotations

import pytest

from services.scorer.domain.measures import Measurement
from services.scorer.engine.measure import measure_bytes
from tests.quality.figures import auc
from tests.quality.judging import desk
from tests.quality.pictures import png, scene
from winnow.contracts.values import MeasureStatus

NAMED = {
    "chelsea.png": ("a photo of a cat", "tabby cat portrait"),
    "coffee.png": ("a cup of coffee on a wooden table", "espresso in a white cup"),
    "camera.png": ("a man with a camera on a tripod", "a photographer with his camera"),
    "rocket.jpg": ("a rocket on a launch pad",),
}
OTHERS = ("a golden retriever running on the beach", "a laptop on a desk", "a pizza with olives", "a sports car on a road", "a bowl of fresh salad")  # fmt: skip
NOT_NAMED = ("a studio portrait of a woman", "happiness", "abstract swirling colors", "two people shaking hands", "ancient coins")  # fmt: skip


def subject(name: str, prompt: str) -> Measurement:
    found = measure_bytes(png(scene(name)), frozenset({"prompt_subject"}), desk().models, prompt=prompt)
    return found.by_name()["prompt_subject"]


def test_what_a_prompt_names_is_told_from_what_it_does_not() -> None:
    prompts = [prompt for both in NAMED.values() for prompt in both]
    right = [subject(name, prompt) for name, own in NAMED.items() for prompt in own]
    wrong = [
        subject(name, prompt)
        for name, own in NAMED.items()
        for prompt in (*prompts, *OTHERS)
        if prompt not in own
    ]
    values = [
        [measurement.raw for measurement in group if measurement.raw is not None] for group in (right, wrong)
    ]
    assert [len(value) for value in values] == [len(right), len(wrong)]
    assert auc(*values) >= 0.97
    assert min(values[0]) > 3.5


@pytest.mark.parametrize("prompt", NOT_NAMED)
def test_a_prompt_that_names_no_label_is_not_judged(prompt: str) -> None:
    found = subject("chelsea.png", prompt)
    assert (found.status, found.evidence["reason"]) == (MeasureStatus.unavailable, "subject_not_among_labels")


def test_a_picture_of_nothing_among_the_labels_is_not_judged() -> None:
    found = subject("gravel.png", "a photo of a cat")
    assert (found.status, found.evidence["reason"]) == (MeasureStatus.failure_to_assess, "labels_unsure")


def test_without_a_prompt_nothing_is_asked() -> None:
    assert subject("chelsea.png", "").status is MeasureStatus.not_applicable
