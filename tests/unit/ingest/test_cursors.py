"""Cursors of lists: read back as they were given, and any other text refused."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.cursors import decode_cursor, encode_cursor
from tests.unit.ingest.events import Tale
from winnow.contracts.errors import Refused
from winnow.contracts.ids import Prefix, derive_id

START = datetime(2026, 1, 1, tzinfo=UTC)
TALE = Tale(derive_id(Prefix.task, "one"))


@given(st.integers(0, 2**60), st.text(alphabet="abc_0123", max_size=60))
def test_a_cursor_reads_back(place: int, tiebreak: str):
    assert decode_cursor(encode_cursor(place, tiebreak)) == (place, tiebreak)


@given(st.text(max_size=30))
def test_any_other_text_is_a_refused_cursor(text: str):
    try:
        decode_cursor(text)
    except Refused as refused:
        assert refused.code == "invalid_request"


def test_a_cursor_that_is_nested_too_deeply_is_refused():
    nested = base64.urlsafe_b64encode(b"[" * 100_000).decode()
    with pytest.raises(Refused) as refused:
        decode_cursor(nested)
    assert refused.value.code == "invalid_request"


@pytest.mark.parametrize("place", [-1, 2**63, 10**40])
def test_a_cursor_beyond_what_is_stored_is_refused(place: int):
    with pytest.raises(Refused):
        decode_cursor(encode_cursor(place, "x"))


@pytest.mark.parametrize("tiebreak", ["\ud800", "\u00fc"])
def test_a_cursor_whose_tiebreak_is_no_ascii_is_refused(tiebreak: str):
    """An identifier has ASCII alone; a lone surrogate can be sent to no database."""
    with pytest.raises(Refused) as refused:
        decode_cursor(encode_cursor(5, tiebreak))
    assert refused.value.code == "invalid_request"
