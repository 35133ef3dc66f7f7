"""The journal of task runs, as the use cases see it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, Protocol

from services.router.domain.messages import RunMessage, Turn
from services.router.domain.run import Run
from winnow.contracts.envelope import Message, RecordedMessage
from winnow.eventstore import FollowUp, Input, InputReused, Journal, NotOwner
from winnow.runtime.backoff import Backoff
from winnow.runtime.log import get_logger

_log = get_logger(__name__)
_SUBMIT_TRIES: Final = 8
_SUBMIT_BACKOFF_FIRST_S: Final = 0.4
_SUBMIT_BACKOFF_MAX_S: Final = 30.0


class Turns(Protocol):
    """Grants turns to runs whose change is decided and not committed yet."""

    def follow_ups(self, states: Mapping[str, Run]) -> Sequence[Turn]:
        """Return the turns that changed runs have at once."""
        ...

    def settle(self, turn: Turn) -> None:
        """Take back the slots of a turn that no attempt took."""
        ...


class RunJournal:
    """The journal as the app sees it: an input of a run is submitted until it is decided."""

    def __init__(self) -> None:
        """Bind the journal later: it needs the app as its listener."""
        self._journal: Journal[Run] | None = None

    def bind(self, journal: Journal[Run], turns: Turns) -> None:
        """Set the journal, and who grants turns in the block that makes a run wait for some."""

        def follow_ups(states: Mapping[str, Run]) -> Sequence[FollowUp]:
            return [
                FollowUp(_input_of(turn.run, turn.input_id, turn.dispatch), partial(turns.settle, turn))
                for turn in turns.follow_ups(states)
            ]

        self._journal = journal
        journal.follow_up(follow_ups)

    async def submit(
        self, run: Run, input_id: str, message: RunMessage
    ) -> tuple[RecordedMessage[Message], ...] | None:
        """Decide and wait for the commit; None when another replica owns the run.

        A store that does not answer is asked again. After the last try its error is raised, and the service
        starts anew from what is recorded.
        """
        if self._journal is None:
            raise RuntimeError("the record is not bound to a journal")
        input_ = _input_of(run, input_id, message)
        backoff = Backoff(input_id, _SUBMIT_BACKOFF_FIRST_S, _SUBMIT_BACKOFF_MAX_S)
        for _ in range(_SUBMIT_TRIES - 1):
            try:
                return (await self._journal.submit(input_)).recorded
            except NotOwner:
                return None
            except InputReused:
                raise
            except Exception as error:  # noqa: BLE001 (submitted again, then raised below)
                _log.warning("router.tell.retried", error=type(error).__name__)
            await asyncio.sleep(backoff.next_s())
        return (await self._journal.submit(input_)).recorded


def _input_of(run: Run, input_id: str, message: RunMessage) -> Input:
    correlation_id = run.correlation_id or run.task_id
    return Input(run.task_id, input_id, message, correlation_id, traceparent=run.traceparent)
