"""OpenAI images: one synchronous call with the pictures inline. Source: OpenAI's published reference."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping

from services.router.clients.adapter import Adapter
from services.router.clients.wire import Reply
from services.router.domain.calls import (
    CallRefused,
    CancelReply,
    Finished,
    Generation,
    ImageRef,
    PollReply,
    SubmitReply,
    Unknown,
)
from services.router.domain.catalogue import Offering


class OpenAIImages(Adapter):
    """No seed, no reference, no cancel: a reply that is lost stays lost and counts as spent."""

    async def submit(self, offering: Offering, generation: Generation) -> SubmitReply:
        """Generate; the reply carries the pictures."""
        prompt = generation.prompt
        if generation.negative_prompt:
            prompt = f"{prompt}\nAvoid: {generation.negative_prompt}"
        document: dict[str, object] = {
            **offering.parameters,
            **{name: parameter for name, parameter in generation.parameters.items() if name != "seed"},
            "model": offering.model,
            "prompt": prompt,
            "n": generation.count,
            "size": f"{generation.width}x{generation.height}",
        }
        url = f"{self._base_url}/images/generations"
        reply = await self._post(offering, url, document)
        if not isinstance(reply, Reply):
            return reply
        # Base64 of several megabytes would hold up the event loop.
        return await asyncio.to_thread(_finished, reply, offering.output_token_price_usd_micro)

    def _refused(self, reply: Reply, reason: str | None = None) -> CallRefused:
        error = reply.document().get("error")
        code = error.get("code") if isinstance(error, dict) else None
        if code in {"moderation_blocked", "content_policy_violation"}:
            reason = "content_policy"
        return super()._refused(reply, reason)

    async def poll(self, offering: Offering, handle: Mapping[str, str]) -> PollReply:  # noqa: ARG002 (the port's form)
        """There is nothing to poll."""
        return Unknown("not_pollable")

    async def cancel(self, offering: Offering, handle: Mapping[str, str]) -> CancelReply:  # noqa: ARG002 (the port's form)
        """There is nothing to cancel."""
        return CancelReply(stopped=False, reason="not_cancellable")


def _finished(reply: Reply, token_price_usd_micro: int) -> Finished | Unknown:
    answer = reply.document()
    entries = answer.get("data")
    if not isinstance(entries, list):
        return Unknown("reply_not_readable")
    images: list[ImageRef] = []
    for entry in entries:
        encoded = entry.get("b64_json") if isinstance(entry, dict) else None
        try:
            content = base64.b64decode(encoded, validate=True) if encoded else None
        except (binascii.Error, TypeError, ValueError):
            content = None
        images.append(ImageRef(content=content))
    return Finished(tuple(images), _cost_usd_micro(answer, token_price_usd_micro))


def _cost_usd_micro(answer: Mapping[str, object], token_price_usd_micro: int) -> int | None:
    usage = answer.get("usage")
    tokens = usage.get("output_tokens") if isinstance(usage, dict) else None
    if not isinstance(tokens, int) or token_price_usd_micro <= 0:
        return None
    return tokens * token_price_usd_micro
