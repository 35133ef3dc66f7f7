"""The pure rules: the fold under repetition, the word list, and fingerprints."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.catalogue import WordRule
from services.ingest.domain.orders import OrderForm, fingerprint_of
from services.ingest.domain.task_projection import fold
from tests.contract.ingest.store_suite import accepted, recorded
from tests.unit.ingest.events import Tale
from winnow.contracts.ids import Prefix, derive_id

START = datetime(2026, 1, 1, tzinfo=UTC)
TALE = Tale(derive_id(Prefix.task, "one"))


def records() -> list:
    """Return a task's records; the sequence of each producer counts its own."""
    counts: dict[str, int] = {}
    found = [accepted(TALE, START)]
    for producer, event in TALE.whole():
        counts[producer] = counts.get(producer, 0) + 1
        found.append(recorded(event, producer, 0 if producer == "scorer" else counts[producer], START))
    return found


@given(st.lists(st.integers(0, 10), max_size=30))
def test_the_fold_counts_every_event_once_however_often_it_is_published(repeats: list[int]):
    history = records()
    expected = None
    for offset, record in enumerate(history):
        expected = fold(expected, record, offset).view
    assert expected is not None
    view, told, offset = None, [], 0
    for place, record in enumerate(history):
        for event in [record, *(history[again] for again in repeats if again <= place)]:
            folded = fold(view, event, offset)
            view = folded.view
            told += [folded.event] if folded.event else []
            offset += 1
    assert view is not None
    assert [event.number for event in told] == list(range(1, len(history) + 1))
    for name in ("state", "candidates", "routes", "outputs", "settlement", "rounds", "events_count"):
        assert getattr(view, name) == getattr(expected, name)
    assert view.out_of_order_count == 0


def test_the_fold_ignores_offsets_it_has_seen():
    history = records()
    view = fold(fold(None, history[0], 7).view, history[1], 9).view
    assert fold(view, history[2], 9).view is view
    assert fold(view, history[2], 3).view is view
    assert fold(view, history[2], 10).view.state == "generating"


def test_what_comes_before_the_acceptance_is_made_up_for():
    history = records()
    view = fold(fold(None, history[1], 0).view, history[0], 1).view
    assert (view.state, view.events_count, view.early) == ("funded", 2, ())


@pytest.mark.parametrize(
    ("prompt", "refused"),
    [
        ("a nude child", False),
        ("Bad   WORD!", True),
        ("xbad word", False),
        ("bad wordy", False),
        ("bad, (word)", True),
        ("word bad", False),
        ("", False),
        ("bad", False),
    ],
)
def test_the_word_rule_finds_whole_words_in_order_only(prompt: str, refused: bool):
    assert WordRule(1, (("bad", "word"),)).refuses(prompt) is refused


@given(st.text(max_size=40), st.integers(-5, 100))
def test_two_orders_have_one_fingerprint_only_if_they_are_equal(prompt: str, k: int):
    first, second = OrderForm("t", "m", 2, "p"), OrderForm("t", "m", k, prompt)
    try:
        body = second.request_object()
    except UnicodeEncodeError:
        return
    assert (fingerprint_of(first.request_object()) == fingerprint_of(body)) is (first == second)
