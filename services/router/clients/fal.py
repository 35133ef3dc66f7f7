"""fal's queue: submit, status, result, cancel. Source: fal's published queue and error pages."""

from __future__ import annotations

from collections.abc import Mapping
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


class Fal(Adapter):
    """A lost reply to a submit is an unknown outcome: fal gives no way to find the request again."""

    scheme = "Key"

    async def submit(self, offering: Offering, generation: Generation) -> SubmitReply:
        """Queue the work; the links to poll come from the reply."""
        document: dict[str, object] = {
            **offering.parameters,
            **generation.parameters,
            "prompt": generation.prompt,
            "num_images": generation.count,
            "image_size": {"width": generation.width, "height": generation.height},
            "seed": generation.seed,
        }
        if generation.negative_prompt:
            document["negative_prompt"] = generation.negative_prompt
        # The platform's own retries would hide how often it fails, and what a late one costs.
        headers = {
            "x-fal-no-retry": "1",
            "X-Fal-Request-Timeout": f"{offering.limits.total_timeout_s:.1f}",
        }
        reply = await self._post(offering, f"{self._base_url}/{offering.model}", document, headers)
        if not isinstance(reply, Reply):
            return reply
        answer = reply.document()
        reference = answer.get("request_id")
        if not isinstance(reference, str) or not reference:
            return Unknown("reply_not_readable")
        owner_and_app = "/".join(offering.model.split("/")[:2])
        base = f"{self._base_url}/{owner_and_app}/requests/{reference}"
        return Accepted(
            reference,
            {
                "status_url": self._own_link(answer.get("status_url"), f"{base}/status"),
                "response_url": self._own_link(answer.get("response_url"), base),
                "cancel_url": self._own_link(answer.get("cancel_url"), f"{base}/cancel"),
            },
        )

    async def poll(self, offering: Offering, handle: Mapping[str, str]) -> PollReply:
        """Ask for the status, and for the result when it is complete."""
        status = await self._get(offering, handle["status_url"])
        if not isinstance(status, Reply):
            return status
        answer = status.document()
        if answer.get("status") != "COMPLETED":
            # An unknown status word means: look again.
            position = answer.get("queue_position")
            return Running(position if isinstance(position, int) else None)
        result = await self._get(offering, handle["response_url"])
        if not isinstance(result, Reply):
            return result
        if result.is_ok:
            return _finished(result)
        if result.status in {503, 504} and not answer.get("error"):
            # The gateway is ill, not the request: its result is still there.
            return Running(retry_after_s=self._wire.retry_after_s(result) or _BUSY_WAIT_S)
        return self._failed(result, answer)

    async def cancel(self, offering: Offering, handle: Mapping[str, str]) -> CancelReply:
        """Ask to stop. Whether it was in time shows in the status that follows, never here."""
        try:
            reply = await self._wire.send(
                "PUT", handle["cancel_url"], limits=offering.limits, headers=self._headers()
            )
        except (NotDeliveredError, ReplyLostError):
            return CancelReply(stopped=False, reason="cancel_not_answered")
        word = reply.document().get("status")
        return CancelReply(stopped=False, reason=str(word).lower() if word else "cancel_refused")

    async def _get(self, offering: Offering, url: str) -> Reply | PollReply:
        """Read a status or a result; what may pass by itself means: look again."""
        try:
            reply = await self._wire.send("GET", url, limits=offering.limits, headers=self._headers())
        except (NotDeliveredError, ReplyLostError):
            return Running(retry_after_s=_BUSY_WAIT_S)
        if reply.status == 429 or (reply.status >= 500 and "x-fal-error-type" not in reply.headers):
            return Running(retry_after_s=self._wire.retry_after_s(reply) or _BUSY_WAIT_S)
        if reply.status in {401, 403, 404}:
            return Unknown("reference_lost")
        if reply.status >= 500 and url.endswith("/status"):
            return Running(retry_after_s=_BUSY_WAIT_S)
        return reply

    def _failed(self, result: Reply, status: Mapping[str, object]) -> CallRefused:
        """Read a failure: 5xx is never billed; a 422 or a cancel may be, when a machine ran."""
        kind = status.get("error_type") or result.headers.get("x-fal-error-type")
        if kind == "request_cancelled":
            return CallRefused(
                OutcomeClass.rejected_without_work,
                "cancelled",
                billed=_inference_s(status) > 0,
                permanent=True,
            )
        if result.status >= 500:
            return CallRefused(OutcomeClass.rejected_without_work, "model_failed")
        return CallRefused(
            OutcomeClass.rejected_without_work,
            _model_problem(result),
            billed=result.status == 422 and _inference_s(status) > 0,
            permanent=True,
        )


def _finished(result: Reply) -> Finished:
    answer = result.document()
    images = answer.get("images")
    unsafe = answer.get("has_nsfw_concepts")
    flags = unsafe if isinstance(unsafe, list) else []
    seed = answer.get("seed")
    refs: list[ImageRef] = []
    for index, image in enumerate(images if isinstance(images, list) else []):
        url = image.get("url") if isinstance(image, dict) else None
        refs.append(
            ImageRef(
                url=url if isinstance(url, str) else None,
                seed=seed if index == 0 and isinstance(seed, int) else None,
                filtered=index < len(flags) and bool(flags[index]),
            )
        )
    return Finished(tuple(refs))


def _inference_s(status: Mapping[str, object]) -> float:
    metrics = status.get("metrics")
    spent = metrics.get("inference_time") if isinstance(metrics, dict) else None
    return float(spent) if isinstance(spent, int | float) else 0.0


def _model_problem(result: Reply) -> str:
    detail = result.document().get("detail")
    first = detail[0] if isinstance(detail, list) and detail else None
    kind = first.get("type") if isinstance(first, dict) else None
    return "content_policy" if kind == "content_policy_violation" else "request_refused"
