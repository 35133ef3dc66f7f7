"""The journal of HTTP requests, as the use cases see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from services.ingest.domain.requests import REQUEST_DECIDER, Origin, Outcome, Request, RequestState
from winnow.contracts.envelope import Event, Message, RecordedMessage
from winnow.contracts.errors import Conflict, ErrorCode, Unavailable
from winnow.contracts.topics import route
from winnow.eventstore import Decision, Input, InputReused, Journal, JournalStore, NotOwner
from winnow.eventstore.codec import Codec


class RequestJournal:
    """Records requests in the shard that this instance has leased."""

    def __init__(
        self, journal: Journal[RequestState], store: JournalStore, shard: Callable[[], str | None]
    ) -> None:
        """Use the journal, its store for look-ups over all shards, and the leased shard (None: none now)."""
        self._journal = journal
        self._store = store
        self._shard = shard
        self._codec = Codec(REQUEST_DECIDER, route)

    async def submit(self, request: Request, origin: Origin) -> Outcome:
        """Record a request once; raises Conflict when its content differs, Unavailable without a shard."""
        shard = self._shard()
        if shard is None:
            raise Unavailable("This instance is taking over its journal.")
        input_ = Input(
            origin.aggregate_id,
            origin.input_id,
            request,
            origin.correlation_id,
            origin.fingerprint,
            origin.traceparent,
        )
        try:
            decided = await self._journal.submit(input_, shard=shard)
        except InputReused:
            raise Conflict(
                ErrorCode.idempotency_key_reused, "This idempotency key was used for another request."
            ) from None
        except NotOwner:
            raise Unavailable("This instance has lost its journal to another.") from None
        # A repeat may have been recorded by another instance, whose state is not in this one's memory.
        return Outcome(self._fold(origin.aggregate_id, decided.recorded), decided.duplicate)

    async def find(self, input_id: str, aggregate_id: str) -> RequestState | None:
        """Return what a request recorded, by any instance."""
        held = self._journal.state(aggregate_id)
        if held is not None:
            return held
        decision = (await self._store.known_inputs("", [input_id])).get(input_id)
        return self._fold(aggregate_id, self._recorded(decision)) if decision else None

    def _recorded(self, decision: Decision) -> list[RecordedMessage[Message]]:
        return [self._codec.recorded(entry) for entry in decision.entries]

    def _fold(self, aggregate_id: str, recorded: Iterable[RecordedMessage[Message]]) -> RequestState:
        state = REQUEST_DECIDER.initial(aggregate_id)
        for event in recorded:
            if isinstance(event.message, Event):
                state = REQUEST_DECIDER.evolve(state, event.message, event.envelope.occurred_at)
        return state
