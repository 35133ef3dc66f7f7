"""The pure rules: the fold under repetition, the word list, the funding workflow in any order."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.domain.catalogue import WordRule
from services.ingest.domain.cursors import decode_cursor, encode_cursor
from services.ingest.domain.funding_workflow import (
    FundingState,
    decide_funding,
    due_at,
    evolve_funding,
    is_final,
)
from services.ingest.domain.orders import OrderForm, fingerprint_of
from services.ingest.domain.task_projection import fold
from tests.contract.ingest.store_suite import accepted, recorded
from tests.unit.ingest.events import Tale
from winnow.contracts.decider import Tick
from winnow.contracts.envelope import Event
from winnow.contracts.errors import Refused
from winnow.contracts.events import TaskCancelled, TaskCancelRequested, TaskRejected
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.states import TRANSITIONS, TaskState, next_state

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


EVENTS = {
    "accepted": accepted(TALE, START).message,
    "funded": TALE.funded(),
    "unfunded": TALE.unfunded(),
    "cancel": TaskCancelRequested(**TALE.ids),
    "overdue": Tick(),
}


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(sorted(EVENTS)), max_size=12).filter(
        lambda names: not {"funded", "unfunded"} <= set(names)
    )
)
def test_stages_end_a_task_at_most_once_and_never_a_funded_one(names: list[str]):
    state, ends, states, was_funded = FundingState(TALE.ids["task_id"]), [], [], False
    queue = list(names)
    while queue:
        name = queue.pop(0)
        if name == "overdue" and due_at(state) is None:
            continue
        before = state
        messages = decide_funding(state, EVENTS[name])
        assert not (messages and is_final(before)), (
            "nothing is decided about a task that is not ingest's any more"
        )
        for message in messages:
            if isinstance(message, Event):
                state = evolve_funding(state, message)
            if isinstance(message, TaskRejected | TaskCancelled):
                ends.append(message)
            if isinstance(message, TaskCancelRequested):
                queue.append("cancel")
        if name == "funded" and not is_final(before):
            was_funded = True
        states.append(state.phase)
    assert len(ends) <= 1
    assert not (was_funded and ends)
    if "accepted" in names and {"unfunded", "cancel", "overdue"} & set(names) and "funded" not in names:
        late_only = (
            set(names[: names.index("accepted")]) == {"overdue"}
            and "overdue" not in names[names.index("accepted") :]
        )
        if not late_only or {"unfunded", "cancel"} & set(names):
            assert len(ends) == 1


def test_every_end_of_ingest_is_allowed_by_the_table_from_where_it_can_come():
    for state in (TaskState.accepted, TaskState.unfunded):
        assert next_state(state, "task.cancelled") == "cancelled"
    assert next_state(TaskState.unfunded, "task.rejected") == "rejected"
    assert ("accepted", "task.cancel_requested") in TRANSITIONS


def test_due_is_the_deadline_of_an_open_task_until_it_was_noticed():
    state = FundingState(TALE.ids["task_id"])
    assert due_at(state) is None
    (opened,) = decide_funding(state, EVENTS["accepted"])
    assert isinstance(opened, Event)
    state = evolve_funding(state, opened)
    assert due_at(state) == START + timedelta(hours=1)
    (request,) = decide_funding(state, Tick())
    assert isinstance(request, TaskCancelRequested)
    assert due_at(evolve_funding(state, request)) is None


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
