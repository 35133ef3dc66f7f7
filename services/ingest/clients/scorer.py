"""The scorer's look at an input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.ingest.clients.calls import call
from services.ingest.domain.answers import Hint, Screening
from winnow.rpc.scorer.v1 import scorer_pb2, scorer_pb2_grpc

if TYPE_CHECKING:
    import grpc.aio


class ScorerClient:
    """The scorer's gRPC service."""

    def __init__(self, channel: grpc.aio.Channel, timeout_s: float) -> None:
        """Call over a channel with a deadline."""
        self._stub = scorer_pb2_grpc.ScorerServiceStub(channel)  # type: ignore[no-untyped-call]
        self._timeout_s = timeout_s

    async def screen(self, bucket: str, key: str, profile: str) -> Screening:
        """Screen a stored image."""
        request = scorer_pb2.ScreenRequest(bucket=bucket, key=key, profile=profile)
        answer: scorer_pb2.ScreenResponse = await call("scorer", self._stub.Screen, request, self._timeout_s)
        return Screening(
            accepted=answer.accepted,
            code=answer.code,
            detail=answer.detail,
            width=answer.width,
            height=answer.height,
            content_type=answer.content_type,
            advice=tuple(answer.advice),
            hints=tuple(
                Hint(hint.code, hint.measured, hint.needed, hint.unit, hint.sentence) for hint in answer.hints
            ),
        )
