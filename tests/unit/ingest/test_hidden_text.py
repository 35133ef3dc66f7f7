"""Text that hides itself or shows nothing is refused; ordinary text of any language passes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.text import LINE_PATTERN, LINES_PATTERN, check_text, is_blank
from tests.unit.ingest.builders import ADMIN, BODY, KEY, WORDED
from tests.unit.ingest.ingest_app import IngestApp, running
from winnow.contracts.errors import ErrorCode, Refused

ZERO_WIDTH = "\u200b"
HIDING = ["\x00", "\x07", "\x1b[2K", "\x7f", "\x85", "\u202e", "\u202a", "\u2066", "\u2069"]


@pytest.mark.parametrize("hiding", HIDING)
@pytest.mark.parametrize("field", ["prompt", "negative_prompt", "label", "copy_text"])
async def test_text_that_hides_itself_is_refused_and_its_place_named(field: str, hiding: str):
    world = IngestApp()
    async with running(world) as client:
        change = {field: f"safe {hiding}text"}
        answer = await client.post("/v1/tasks", json=WORDED | change, headers=await world.key() | KEY)
        await world.settle()
    problem = answer.json()
    assert (answer.status_code, problem.get("code"), problem.get("pointer")) == (
        422,
        "characters_not_allowed",
        field,
    )
    assert f"U+{ord(hiding[0]):04X} at 5" in problem["detail"]
    assert "safe" not in problem["detail"]
    assert world.bus.messages == []


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "two\nlines,\ttabbed"},
        {"prompt": "שלום \u200fand\u200e مرحبا"},
        {"prompt": "a family 👨\u200d👩\u200d👧 in the garden"},
        {"negative_prompt": "blur\r\nnoise"},
        {"copy_text": "50% OFF\ntoday"},
        {"label": "Übung № 5 — “quoted”"},
    ],
)
async def test_ordinary_text_of_any_language_passes(change: dict[str, str]):
    world = IngestApp()
    async with running(world) as client:
        answer = await client.post("/v1/tasks", json=WORDED | change, headers=await world.key() | KEY)
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize("label", ["two\nlines", "tab\t", "\u2028"])
async def test_a_label_is_one_line(label: str):
    world = IngestApp()
    async with running(world) as client:
        answer = await client.post("/v1/tasks", json=BODY | {"label": label}, headers=await world.key() | KEY)
    assert answer.json().get("code") == "characters_not_allowed"


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/v1/admin/keys", {"account_id": "acct_one", "scopes": ["admin"], "label": "a\u202eb"}, "label"),
        (
            "/v1/admin/tasks/task_x/refund",
            {"amount_credits_micro": 1, "reason": "a\x07b"},
            "reason",
        ),
    ],
)
async def test_administrators_text_may_not_hide_itself_either(path: str, body: dict[str, Any], pointer: str):
    world = IngestApp()
    async with running(world) as client:
        answer = await client.post(path, json=body, headers=ADMIN | KEY)
    assert (answer.status_code, answer.json().get("code")) == (422, "characters_not_allowed")
    assert answer.json().get("pointer") == pointer


BLANK = [
    "",
    " ",
    "\u00a0\u2003",
    "\n\t",
    ZERO_WIDTH,
    "\ufeff",
    "\u2060\u200d",
    "\u3164",
    "\u2800",
    "\u00ad",
    "\ufe0f",
]


@pytest.mark.parametrize("prompt", BLANK)
async def test_a_prompt_that_shows_nothing_is_empty(prompt: str):
    world = IngestApp()
    async with running(world) as client:
        answer = await client.post(
            "/v1/tasks", json=BODY | {"prompt": prompt}, headers=await world.key() | KEY
        )
    assert (answer.status_code, answer.json().get("code")) == (422, "invalid_request")
    assert answer.json()["detail"] == "The prompt is empty."


@pytest.mark.parametrize("reason", [" ", ZERO_WIDTH, "\u00a0"])
async def test_a_reason_that_shows_nothing_is_no_reason(reason: str):
    world = IngestApp()
    async with running(world) as client:
        body = {"amount_credits_micro": 1, "reason": reason}
        answer = await client.post("/v1/admin/tasks/task_x/refund", json=body, headers=ADMIN | KEY)
    assert (answer.status_code, answer.json().get("pointer")) == (422, "reason")


@given(st.text(max_size=30), st.booleans())
def test_the_documents_pattern_and_the_check_agree(text: str, one_line: bool):
    import re

    try:
        check_text("text", text, one_line=one_line)
        allowed = True
    except Refused as refused:
        assert refused.code is ErrorCode.characters_not_allowed
        allowed = False
    assert allowed is bool(re.search((LINE_PATTERN if one_line else LINES_PATTERN)[:-1] + r"\Z", text))


@given(st.text(max_size=20))
def test_a_text_with_a_letter_or_a_digit_is_never_blank(text: str):
    if any(letter.isascii() and letter.isalnum() for letter in text):
        assert not is_blank(text)
    assert is_blank(ZERO_WIDTH * len(text))
