"""Reading tasks: from the read model, or from the request's own record while the read model is behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any, Final

from services.ingest.app.notifier import Notifier
from services.ingest.app.ports import Delivery, Files, Ledger, RequestAggregates, Views
from services.ingest.domain.answers import EntryView, Link
from services.ingest.domain.bill import Bill, bill_of
from services.ingest.domain.task_projection import Page, PublicEvent, fold
from services.ingest.domain.views import TaskView
from winnow.contracts.envelope import Envelope, RecordedMessage
from winnow.contracts.errors import NotFound
from winnow.contracts.events import TaskAccepted
from winnow.contracts.ids import Prefix, derive_id
from winnow.runtime.clock import Clock

HEARTBEAT_S: Final = 15.0
_POLL_S: Final = 1.0
_EVENTS_AT_ONCE: Final = 200
_PREVIEW_BYTES_MAX: Final = 32 * 1024 * 1024


class TaskQueries:
    """The questions about tasks; each is answered only for the account that owns the task."""

    def __init__(
        self,
        *,
        views: Views,
        requests: RequestAggregates,
        ledger: Ledger,
        delivery: Delivery,
        files: Files,
        notifier: Notifier,
        clock: Clock,
    ) -> None:
        """Wire the use cases."""
        self._views = views
        self._requests = requests
        self._ledger = ledger
        self._delivery = delivery
        self._files = files
        self._notifier = notifier
        self._clock = clock

    async def task(self, account_id: str, task_id: str) -> TaskView:
        """Return a task; raises NotFound, also for another account's task."""
        view = await self._views.task(account_id, task_id)
        if view is None or view.terms is None:
            view = await self._from_request(account_id, task_id)
        if view is None:
            raise NotFound("There is no such task.")
        return view

    async def tasks(self, account_id: str, page: Page) -> list[TaskView]:
        """Return the account's tasks, newest first."""
        return await self._views.tasks(account_id, page)

    async def candidates(self, account_id: str, task_id: str, page: Page) -> list[Mapping[str, Any]]:
        """Return a task's candidates by round and index; raises NotFound."""
        await self.task(account_id, task_id)
        return await self._views.candidates(account_id, task_id, page)

    async def preview(self, account_id: str, task_id: str, candidate_id: str) -> tuple[bytes, str]:
        """Return a candidate's bytes and media type; raises NotFound."""
        candidate = await self._views.candidate(account_id, task_id, candidate_id)
        stored = candidate.get("stored") if candidate else None
        if not isinstance(stored, dict):
            raise NotFound("There is no such candidate, or it has no picture.")
        body = await self._files.get(stored["key"], _PREVIEW_BYTES_MAX)
        return body, str(stored["content_type"])

    async def outputs(
        self, account_id: str, task_id: str, expires_in_s: int
    ) -> tuple[TaskView, dict[str, Link]]:
        """Return a task with fresh links to its outputs, by output id; raises NotFound."""
        view = await self.task(account_id, task_id)
        if not view.outputs:
            return view, {}
        links = await self._delivery.renew_links(account_id, task_id, expires_in_s)
        return view, {link.output_id: link for link in links}

    async def bill(self, account_id: str, task_id: str) -> tuple[TaskView, Bill, list[EntryView]]:
        """Return a task's explained bill with the entries behind it; raises NotFound, Unavailable."""
        view = await self.task(account_id, task_id)
        entries = await self._ledger.entries_of_task(account_id, task_id)
        refunded = sum(entry.amount_credits_micro for entry in entries if entry.kind == "refund")
        return view, bill_of(view, refunded), entries

    async def entries(self, account_id: str, page: Page) -> list[EntryView]:
        """Return the account's entries, newest first, none after a cursor of no entry; raises Unavailable."""
        return await self._ledger.entries(account_id, page.limit, page.after[1] if page.after else "")

    async def events(self, account_id: str, task_id: str, after: int) -> AsyncIterator[PublicEvent | None]:
        """Yield a task's events after a number as they come, None as a sign of life; ends when no more can come.

        The caller has asked for the task first, so that an unknown one is refused before the stream begins.
        """
        quiet_since_s = self._clock.monotonic_s()
        with self._notifier.on(task_id) as subscription:
            while True:
                events = await self._views.events(account_id, task_id, after, _EVENTS_AT_ONCE)
                for event in events:
                    after = event.number
                    yield event
                if events:
                    quiet_since_s = self._clock.monotonic_s()
                    continue
                view = await self._views.task(account_id, task_id)
                if view is not None and view.complete and after >= view.events_count:
                    return
                if self._clock.monotonic_s() - quiet_since_s >= HEARTBEAT_S:
                    quiet_since_s = self._clock.monotonic_s()
                    yield None
                await subscription.wait(_POLL_S)

    async def _from_request(self, account_id: str, task_id: str) -> TaskView | None:
        state = await self._requests.find(f"task:{task_id}", task_id)
        if state is None or state.accepted is None or state.at is None:
            return None
        if state.accepted.account_id != account_id:
            return None
        return accepted_view(state.accepted, state.at)


def accepted_view(accepted: TaskAccepted, at: datetime) -> TaskView:
    """Return the view of a task of which nothing but its acceptance is known."""
    envelope = Envelope(
        event_id=derive_id(Prefix.event, "view", accepted.task_id),
        occurred_at=at,
        producer="ingest-api",
        subject=accepted.task_id,
        sequence=0,
        correlation_id=accepted.task_id,
        causation_id=accepted.task_id,
    )
    return fold(None, RecordedMessage(envelope, accepted), 0).view
