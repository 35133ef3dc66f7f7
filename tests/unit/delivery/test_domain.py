"""The end of a task: one end, a fair price, and nothing that was not selected."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from services.delivery.domain.messages import AttemptReason, EndReceived, Finished, FinishFailure, Incoming
from services.delivery.domain.task import TaskDelivery, due_at
from tests.unit.delivery.builders import (
    ACCOUNT,
    NOW,
    PRICE,
    output,
    selected,
    selection,
    selection_received,
    task_id,
)
from tests.unit.delivery.domain_steps import ENDS, EVENT, POLICY, ended, finishing, returned, step
from winnow.contracts.commands import ReleaseCredits, SettleCredits
from winnow.contracts.decider import Tick
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import TaskCancelled, TaskDelivered, TaskFailed, TaskPartiallyDelivered


def test_all_k_outputs_deliver_the_task_and_settle_their_price():
    _, messages = step(finishing(2), Finished((output(1), output(0)), ()))
    delivered, settle = messages
    assert isinstance(delivered, TaskDelivered)
    assert [item.rank for item in delivered.outputs] == [1, 2]
    assert isinstance(settle, SettleCredits)
    assert (settle.amount_credits_micro, settle.delivered_count) == (2 * PRICE, 2)
    assert settle.cost.actual_usd_micro == 38_000


def test_a_missing_output_delivers_in_part_and_charges_only_the_rest():
    failed = FinishFailure(candidate_id=output(1).candidate_id, reason="content_differs")
    _, messages = step(finishing(2), Finished((output(0),), (failed,)))
    _, partial, settle = messages
    assert isinstance(partial, TaskPartiallyDelivered)
    assert (partial.missing_count, partial.reason) == (1, "content_differs")
    assert isinstance(settle, SettleCredits)
    assert settle.amount_credits_micro == PRICE


def test_nothing_finished_fails_the_task_and_releases_the_reservation():
    failed = tuple(
        FinishFailure(candidate_id=output(index).candidate_id, reason="object_missing") for index in range(2)
    )
    _, messages = step(finishing(2), Finished((), failed))
    _, end, release = messages
    assert isinstance(end, TaskFailed)
    assert (end.stage, end.code) == ("delivery", ErrorCode.delivery_failed)
    assert isinstance(release, ReleaseCredits)


def test_an_output_of_a_candidate_that_was_not_selected_is_not_delivered():
    stranger = output(0, task="another")
    _, messages = step(finishing(1), Finished((stranger,), ()))
    assert isinstance(messages[0], TaskFailed)


def test_no_more_than_k_are_delivered_and_charged_however_many_were_selected_and_finished():
    event = selection(2, candidates=[selected(index) for index in (3, 1, 0, 2)], reserved=4 * PRICE)
    state, _ = step(TaskDelivery(task_id()), selection_received(event))
    outputs = tuple(output(index) for index in (3, 2, 1, 0))
    _, messages = step(state, Finished(outputs, ()))
    delivered, settle = messages
    assert isinstance(delivered, TaskDelivered)
    assert [item.candidate_id for item in delivered.outputs] == [
        output(0).candidate_id,
        output(1).candidate_id,
    ]
    assert isinstance(settle, SettleCredits)
    assert (settle.delivered_count, settle.amount_credits_micro) == (2, 2 * PRICE)


def test_an_output_that_came_twice_is_delivered_once():
    _, messages = step(finishing(2), Finished((output(0), output(0)), ()))
    partial = messages[0]
    assert isinstance(partial, TaskPartiallyDelivered)
    assert len(partial.outputs) == 1


def test_a_charge_never_exceeds_what_was_reserved():
    event = selection(2, reserved=PRICE)
    state, _ = step(TaskDelivery(task_id()), selection_received(event))
    _, messages = step(state, Finished((output(0), output(1)), ()))
    settle = messages[-1]
    assert isinstance(settle, SettleCredits)
    assert settle.amount_credits_micro == PRICE


def test_finishing_that_never_returns_fails_at_its_deadline_and_not_before():
    state = finishing()
    due = due_at(state)
    assert due == NOW + timedelta(seconds=POLICY.finish_deadline_s)
    assert step(state, Tick(), due - timedelta(seconds=1))[1] == []
    _, messages = step(state, Tick(), due)
    assert [type(message) for message in messages] == [TaskFailed, ReleaseCredits]


@given(
    st.integers(1, 5),
    st.lists(
        st.sampled_from(["select", "finish_all", "finish_none", "finish_one", "time", "end"]), max_size=8
    ),
)
def test_whatever_comes_in_whatever_order_a_task_ends_once_and_pays_for_deliveries_only(
    k: int, moves: list[str]
) -> None:
    state, published = TaskDelivery(task_id()), []
    late = NOW + timedelta(seconds=POLICY.finish_deadline_s + 1)
    for move in moves:
        messages_by_move: dict[str, Incoming] = {
            "select": selection_received(selection(k)),
            "finish_all": Finished(tuple(output(index) for index in range(k + 2)), ()),
            "finish_none": Finished((), ()),
            "finish_one": Finished((output(0), output(0)), ()),
            "time": Tick(),
            "end": EndReceived(
                TaskCancelled(
                    task_id=task_id(), account_id=ACCOUNT, stage="router", released_credits_micro=0
                ),
                EVENT,
                NOW,
                "request-1",
            ),
        }
        state, messages = step(state, messages_by_move[move], late if move == "time" else NOW)
        published += messages
    ends = [event for event in published if isinstance(event, ENDS)]
    assert len(ends) <= 1
    money = [event for event in published if isinstance(event, SettleCredits | ReleaseCredits)]
    assert len(money) == len(ends)
    for end, paid in zip(ends, money, strict=True):
        delivered = [] if isinstance(end, TaskFailed) else end.outputs
        assert len(delivered) <= k
        charged = paid.amount_credits_micro if isinstance(paid, SettleCredits) else 0
        assert charged == PRICE * len(delivered)


def test_a_state_survives_its_stored_form():
    state, _ = step(ended(), returned(1, AttemptReason.timed_out))
    adapter = TypeAdapter(TaskDelivery)
    assert adapter.validate_json(adapter.dump_json(state)) == state
