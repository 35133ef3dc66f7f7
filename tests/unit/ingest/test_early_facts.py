"""The end of a task when a cancel and a funding stand in the record before the acceptance."""

from __future__ import annotations

from services.ingest.domain.funding_workflow import FundingState, decide_funding, evolve_funding
from tests.unit.ingest.events import Tale
from tests.unit.router.builders import accepted
from winnow.contracts.envelope import Event, Message
from winnow.contracts.events import TaskCancelled, TaskCancelRequested
from winnow.contracts.ids import Prefix, derive_id

TASK = derive_id(Prefix.task, 1)


def told(*messages: Message) -> list[Message]:
    """Play messages to a task's funding workflow; return what it publishes and asks for."""
    state, said = FundingState(TASK), []
    for message in messages:
        for decided in decide_funding(state, message):
            said.append(decided)
            if isinstance(decided, Event):
                state = evolve_funding(state, decided)
    return said


def cancel(tale: Tale) -> TaskCancelRequested:
    return TaskCancelRequested(**tale.ids)


def ends(*messages: Message) -> int:
    return sum(isinstance(message, TaskCancelled) for message in told(*messages))


def test_a_cancel_is_ingests_unless_the_funding_stands_before_cancel_or_acceptance():
    tale = Tale(TASK)
    requester, paid, taken = cancel(tale), tale.funded(), accepted()
    assert ends(requester, taken, paid) == ends(taken, requester, paid) == 1
    assert ends(requester, paid, taken) == ends(paid, requester, taken) == 0
    assert ends(paid, taken, requester) == ends(taken, paid, requester) == 0
