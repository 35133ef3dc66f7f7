"""The two journals' deciders: HTTP requests, and the funding of a task."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, cast

from services.ingest.domain.funding_workflow import (
    FUNDING_EVENTS,
    FUNDING_UPCASTERS,
    DeadlinePassed,
    FundingState,
    decide_funding,
    due_at,
    evolve_funding,
    is_final,
)
from services.ingest.domain.requests import (
    REQUEST_EVENTS,
    REQUEST_UPCASTERS,
    Request,
    RequestState,
    decide_request,
    evolve_request,
)
from winnow.contracts.envelope import Event, Message
from winnow.eventstore import Tick

REQUEST_COLLECTIONS: Final = "http_"
"""Prefix of the request journal's collections; the funding journal has none."""


class RequestDecider:
    """One decision per request; the inputs are unique over all instances."""

    producer = "ingest-api"
    state_type = RequestState
    state_version = 2
    private_events = REQUEST_EVENTS
    upcasters = REQUEST_UPCASTERS
    stores_states = False

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


class FundingDecider:
    """The funding of tasks by partition of the record."""

    producer = "ingest"
    state_type = FundingState
    state_version = 1
    private_events = FUNDING_EVENTS
    upcasters = FUNDING_UPCASTERS
    stores_states = True

    def initial(self, aggregate_id: str) -> FundingState:
        """Return the state of a task that was not seen yet."""
        return FundingState(task_id=aggregate_id)

    def decide(self, state: FundingState, message: object, now: datetime) -> Sequence[Message]:
        """Decide about a message of the record, or about a deadline that has come."""
        del now
        return decide_funding(state, DeadlinePassed() if isinstance(message, Tick) else message)

    def evolve(self, state: FundingState, event: Event, at: datetime) -> FundingState:
        """Fold an event."""
        del at
        return evolve_funding(state, event)

    def due_at(self, state: FundingState) -> datetime | None:
        """Want a tick at the deadline while the ledger has not answered."""
        return due_at(state)

    def is_final(self, state: FundingState) -> bool:
        """Leave memory once the end is another's."""
        return is_final(state)
