"""The journal of task runs, as the use cases see it."""

from __future__ import annotations

import asyncio
from typing import Final

from services.router.domain.messages import RunMessage
from services.router.domain.run import Run
from winnow.contracts.envelope import Message, RecordedMessage
from winnow.eventstore import Input, InputReused, Journal, NotOwner
from winnow.runtime.backoff import Backoff
from winnow.runtime.log import get_logger

_log = get_logger(__name__)
_SUBMIT_TRIES: Final = 8
_SUBMIT_BACKOFF_FIRST_S: Final = 0.4
_SUBMIT_BACKOFF_MAX_S: Final = 30.0


class RunJournal:
    """The journal as the app sees it: an input of a run is submitted until it is decided."""

    def __init__(self) -> None:
        """Bind the journal later: it needs the app as its listener."""
        self._journal: Journal[Run] | None = None

    def bind(self, journal: Journal[Run]) -> None:
        """Set the journal."""
        self._journal = journal

    async def submit(
        self, run: Run, input_id: str, message: RunMessage
    ) -> tuple[RecordedMessage[Message], ...] | None:
        """Decide and wait for the commit; None when another replica owns the run.

        A store that does not answer is asked again. After the last try its error is raised, and the service
        starts anew from what is recorded.
        """
        if self._journal is None:
            raise RuntimeError("the record is not bound to a journal")
        correlation_id = run.correlation_id or run.task_id
        input_ = Input(run.task_id, input_id, message, correlation_id, traceparent=run.traceparent)
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
