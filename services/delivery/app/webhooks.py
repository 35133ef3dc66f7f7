"""Webhooks: who is told about an end, and one attempt at telling."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

from services.delivery.app import metrics
from services.delivery.app.ports import DeliveryAggregates, Endpoints, Index, Sender
from services.delivery.domain.decide import delivery_id_of
from services.delivery.domain.endpoints import (
    Endpoint,
    WebhookAnswer,
    WebhookRequest,
    is_disabled_after_failures,
    secret_of,
)
from services.delivery.domain.messages import AttemptReason, EndpointsRead, WebhookAnswered
from services.delivery.domain.payload import webhook_payload
from services.delivery.domain.schedule import disables_endpoint
from services.delivery.domain.task import TaskDelivery
from services.delivery.domain.work import SendWebhook
from winnow.eventstore import Input
from winnow.runtime import failpoints
from winnow.runtime.clock import Clock
from winnow.runtime.log import get_logger

_log = get_logger(__name__)


class Webhooks:
    """Plans and makes delivery attempts; at least once each, the same id and body every time."""

    def __init__(
        self,
        states: DeliveryAggregates,
        endpoints: Endpoints,
        index: Index,
        sender: Sender,
        clock: Clock,
        *,
        signing_key: bytes,
        at_once_max: int,
        per_endpoint_max: int,
    ) -> None:
        """Sign with secrets derived from ``signing_key``; a slow endpoint holds up only itself."""
        self._states = states
        self._endpoints = endpoints
        self._index = index
        self._sender = sender
        self._clock = clock
        self._signing_key = signing_key
        self._turns = asyncio.Semaphore(at_once_max)
        self._per_endpoint_max = per_endpoint_max
        self._endpoint_turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def plan(self, state: TaskDelivery) -> None:
        """Find the endpoints that are to hear of the end. Raises what the stores and the journal raise."""
        end = state.end
        if end is None or end.event_id is None:
            return
        endpoints = await self._endpoints.subscribed(state.account_id, end.type)
        ids = tuple(endpoint.endpoint_id for endpoint in endpoints)
        if ids:
            delivery_ids = [delivery_id_of(id_, end.event_id) for id_ in ids]
            await self._index.note_webhooks(state.task_id, state.account_id, delivery_ids, self._clock.now())
        message = EndpointsRead(end.event_id, ids)
        await self._submit(state, f"webhooks:{end.event_id}", message)

    async def attempt(self, work: SendWebhook, state: TaskDelivery) -> None:
        """Make one attempt and submit how it went. Raises what the stores and the journal raise."""
        turns = self._endpoint_turns.get(work.endpoint_id)
        if turns is None:
            turns = asyncio.Semaphore(self._per_endpoint_max)
            self._endpoint_turns[work.endpoint_id] = turns
        async with turns, self._turns:
            returned = await self._attempt(work, state)
        metrics.WEBHOOK_ATTEMPTS.labels(returned.reason.value).inc()
        await self._submit(state, f"attempt:{work.delivery_id}:{work.number}", returned)

    async def _attempt(self, work: SendWebhook, state: TaskDelivery) -> WebhookAnswered:
        endpoint = await self._endpoints.find(work.endpoint_id)
        started_at, started_s = self._clock.now(), self._clock.monotonic_s()
        if endpoint is None or not endpoint.enabled or endpoint.account_id != state.account_id:
            answer = WebhookAnswer(0, AttemptReason.endpoint_disabled)
        else:
            failpoints.reach("before_webhook")
            answer = await self._sender.send(
                WebhookRequest(
                    url=endpoint.url,
                    delivery_id=work.delivery_id,
                    at=started_at,
                    secret=secret_of(self._signing_key, endpoint.endpoint_id),
                    body=webhook_payload(state),
                )
            )
            failpoints.reach("after_webhook")
            await self._note(endpoint, answer)
        seconds = self._clock.monotonic_s() - started_s
        metrics.WEBHOOK_SECONDS.observe(seconds)
        return WebhookAnswered(
            delivery_id=work.delivery_id,
            number=work.number,
            started_at=started_at,
            status=answer.status,
            reason=answer.reason,
            latency_ms=int(seconds * 1000),
            retry_after_s=answer.retry_after_s,
        )

    async def _note(self, endpoint: Endpoint, answer: WebhookAnswer) -> None:
        """Keep the endpoint's health; it is switched off before the attempt is recorded, so that it stays off."""
        if answer.reason is AttemptReason.accepted:
            if endpoint.failing_since is not None:
                await self._endpoints.note_success(endpoint.endpoint_id)
            return
        now = self._clock.now()
        disable = disables_endpoint(answer.reason) or is_disabled_after_failures(endpoint, now)
        await self._endpoints.note_failure(endpoint.endpoint_id, now, disable=disable)
        if disable:
            _log.warning(
                "delivery.endpoint.disabled",
                endpoint_id=endpoint.endpoint_id,
                account_id=endpoint.account_id,
                reason=answer.reason.value,
            )

    async def _submit(
        self, state: TaskDelivery, input_id: str, message: EndpointsRead | WebhookAnswered
    ) -> None:
        await self._states.submit(
            Input(state.task_id, input_id, message, state.correlation_id, traceparent=state.traceparent)
        )
