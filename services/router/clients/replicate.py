"""Replicate's predictions: create, get, cancel. Source: Replicate's published HTTP reference."""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd
from typing import Final

from services.router.clients.adapter import Adapter
from services.router.clients.wire import NotDeliveredError, Reply, ReplyLostError
from services.router.domain.calls import (
    Accepted,
    CallRefused,
    CancelReply,
    Finished,
    Generation,
    ImageRef,
    PollReply,
    Running,
    SubmitReply,
    Unknown,
)
from services.router.domain.catalogue import Offering
from winnow.contracts.values import OutcomeClass

_BUSY_WAIT_S: Final = 1.0


class Replicate(Adapter):
    """No idempotency key exists: a lost reply to a create is an unknown outcome."""

    async def submit(self, offering: Offering, generation: Generation) -> SubmitReply:
        """Create a prediction of an official model, or of a pinned version."""
        given: dict[str, object] = {
            **offering.parameters,
            **generation.parameters,
            "prompt": generation.prompt,
            "num_outputs": generation.count,
            "aspect_ratio": _aspect(generation.width, generation.height),
            "width": generation.width,
            "height": generation.height,
            "seed": generation.seed,
        }
        if generation.negative_prompt:
            given["negative_prompt"] = generation.negative_prompt
        limit_s = max(1, int(offering.limits.total_timeout_s))
        headers = {"Cancel-After": f"{limit_s}s"}
        if offering.model_version:
            document: dict[str, object] = {"version": offering.model_version, "input": given}
            url = f"{self._base_url}/v1/predictions"
        else:
            document = {"input": given}
            url = f"{self._base_url}/v1/models/{offering.model}/predictions"
        reply = await self._post(offering, url, document, headers)
        if not isinstance(reply, Reply):
            return reply
        prediction = reply.document()
        reference = prediction.get("id")
        if not isinstance(reference, str) or not reference:
            return Unknown("reply_not_readable")
        ended = _ended(prediction)
        if isinstance(ended, Finished):
            return Finished(ended.images, ended.cost_usd_micro, reference)
        if ended is not None:
            return ended
        links = prediction.get("urls")
        urls = links if isinstance(links, dict) else {}
        base = f"{self._base_url}/v1/predictions/{reference}"
        return Accepted(
            reference,
            {
                "get": self._own_link(urls.get("get"), base),
                "cancel": self._own_link(urls.get("cancel"), f"{base}/cancel"),
            },
        )

    async def poll(self, offering: Offering, handle: Mapping[str, str]) -> PollReply:
        """Read the prediction; an unknown status word means: look again."""
        try:
            reply = await self._wire.send(
                "GET", handle["get"], limits=offering.limits, headers=self._headers()
            )
        except (NotDeliveredError, ReplyLostError):
            return Running(retry_after_s=_BUSY_WAIT_S)
        if reply.status == 429 or reply.status >= 500:
            return Running(retry_after_s=self._wire.retry_after_s(reply) or _BUSY_WAIT_S)
        if not reply.is_ok:
            return Unknown("reference_lost")
        return _ended(reply.document()) or Running()

    async def cancel(self, offering: Offering, handle: Mapping[str, str]) -> CancelReply:
        """Ask to stop; in time only if it had not started."""
        try:
            reply = await self._wire.send(
                "POST", handle["cancel"], limits=offering.limits, headers=self._headers()
            )
        except (NotDeliveredError, ReplyLostError):
            return CancelReply(stopped=False, reason="cancel_not_answered")
        prediction = reply.document()
        has_ended = prediction.get("status") in {"canceled", "aborted"}
        if reply.is_ok and has_ended and prediction.get("started_at") is None:
            return CancelReply(stopped=True, reason="cancelled")
        return CancelReply(stopped=False, reason="already_started")


def _ended(prediction: Mapping[str, object]) -> Finished | CallRefused | None:
    """Read a final prediction; None while it is not final.

    ``aborted`` (never started) and ``failed`` are not billed; ``canceled`` is, once it has started.
    """
    match prediction.get("status"):
        case "succeeded":
            output = prediction.get("output")
            links = output if isinstance(output, list) else [output]
            return Finished(tuple(ImageRef(url=link) for link in links if isinstance(link, str)))
        case "failed":
            reason = "content_policy" if "NSFW" in str(prediction.get("error")) else "model_failed"
            return CallRefused(
                OutcomeClass.rejected_without_work, reason, permanent=reason == "content_policy"
            )
        case "canceled":
            return CallRefused(
                OutcomeClass.rejected_without_work,
                "cancelled",
                billed=prediction.get("started_at") is not None,
                permanent=True,
            )
        case "aborted":
            return CallRefused(OutcomeClass.rejected_without_work, "not_started_in_time")
        case _:
            return None


def _aspect(width: int, height: int) -> str:
    shared = gcd(width, height)
    return f"{width // shared}:{height // shared}"
