"""The two journals' machines: HTTP requests, and the stages of a task before it is funded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, cast

from services.ingest.domain.requests import (
    REQUEST_EVENTS,
    REQUEST_UPCASTERS,
    Request,
    RequestState,
    decide_request,
    evolve_request,
)
from services.ingest.domain.stages import (
    STAGE_EVENTS,
    STAGE_UPCASTERS,
    Overdue,
    StageState,
    decide_stage,
    due_at,
    evolve_stage,
    is_final,
)
from winnow.contracts.envelope import Event, Message
from winnow.runtime.journal import Tick

REQUEST_COLLECTIONS: Final = "http_"
"""Prefix of the request journal's collections; the stage journal has none."""


class RequestMachine:
    """One decision per request; the causes are unique over all instances."""

    producer = "ingest-api"
    state_type = RequestState
    state_version = 2
    private_events = REQUEST_EVENTS
    upcasters = REQUEST_UPCASTERS
    keeps_states = False

    def initial(self, aggregate_id: str) -> RequestState:
        """Return the state of a request that was never made."""
        del aggregate_id
        return RequestState()

    def decide(self, state: RequestState, message: object, now: datetime) -> Sequence[Message]:
        """Record the request."""
        del state
        return decide_request(cast("Request", message), now)

    def evolve(self, state: RequestState, event: Event, at: datetime) -> RequestState:
        """Fold an event."""
        return evolve_request(state, event, at)

    def due_at(self, state: RequestState) -> datetime | None:
        """Want no tick."""
        del state
        return None

    def is_final(self, state: RequestState) -> bool:
        """Leave memory once recorded."""
        return state.at is not None


class StageMachine:
    """The stages of tasks by partition of the record."""

    producer = "ingest"
    state_type = StageState
    state_version = 1
    private_events = STAGE_EVENTS
    upcasters = STAGE_UPCASTERS
    keeps_states = True

    def initial(self, aggregate_id: str) -> StageState:
        """Return the state of a task that was not seen yet."""
        return StageState(task_id=aggregate_id)

    def decide(self, state: StageState, message: object, now: datetime) -> Sequence[Message]:
        """Decide about a message of the record, or about a deadline that has come."""
        del now
        return decide_stage(state, Overdue() if isinstance(message, Tick) else message)

    def evolve(self, state: StageState, event: Event, at: datetime) -> StageState:
        """Fold an event."""
        del at
        return evolve_stage(state, event)

    def due_at(self, state: StageState) -> datetime | None:
        """Want a tick at the deadline while the ledger has not answered."""
        return due_at(state)

    def is_final(self, state: StageState) -> bool:
        """Leave memory once the end is another's."""
        return is_final(state)
