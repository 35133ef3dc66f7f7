"""The gRPC face of the scorer: screen an input, score an object, list the profiles."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import grpc
import grpc.aio

from services.scorer.app import Scorer, to_contract
from winnow.contracts.errors import ErrorCode, NotFound, Unavailable, WinnowError
from winnow.rpc.scorer.v1 import scorer_pb2, scorer_pb2_grpc

SERVICE_NAME: Final = "winnow.rpc.scorer.v1.ScorerService"


class ScorerService(scorer_pb2_grpc.ScorerServiceServicer):
    """Maps messages to use cases and errors to statuses. The code of an error travels as ``winnow-code``."""

    def __init__(self, scorer: Scorer) -> None:
        """Serve a scorer."""
        self._scorer = scorer

    def register(self, server: grpc.aio.Server) -> None:
        """Add this service to a server."""
        scorer_pb2_grpc.add_ScorerServiceServicer_to_server(self, server)  # type: ignore[no-untyped-call]

    async def Screen(  # noqa: N802 (named by the proto)
        self,
        request: scorer_pb2.ScreenRequest,
        context: grpc.aio.ServicerContext[scorer_pb2.ScreenRequest, scorer_pb2.ScreenResponse],
    ) -> scorer_pb2.ScreenResponse:
        """Screen an input image."""
        try:
            result = await self._scorer.screen_object(request.bucket, request.key, request.profile or None)
        except WinnowError as error:
            await _abort(context, error)
            raise
        return scorer_pb2.ScreenResponse(
            accepted=result.accepted,
            code=result.code.value if result.code else "",
            detail=result.detail,
            width=result.width,
            height=result.height,
            content_type=result.content_type,
            advice=result.advice,
            hints=[scorer_pb2.Advice(**asdict(hint)) for hint in result.hints],
        )

    async def Score(  # noqa: N802 (named by the proto)
        self,
        request: scorer_pb2.ScoreRequest,
        context: grpc.aio.ServicerContext[scorer_pb2.ScoreRequest, scorer_pb2.ScoreResponse],
    ) -> scorer_pb2.ScoreResponse:
        """Score one object; version 0 is the newest."""
        try:
            score = await self._scorer.score_object(
                request.bucket,
                request.key,
                request.profile,
                request.profile_version or None,
                reference_key=request.reference_key,
                request_key=request.request_key,
            )
        except WinnowError as error:
            await _abort(context, error)
            raise
        dimensions = []
        for verdict in score.dimensions:
            shown = to_contract(verdict)
            dimensions.append(
                scorer_pb2.Dimension(
                    name=shown.name,
                    tier=shown.tier,
                    status=shown.status.value,
                    raw=shown.raw,
                    score=shown.score,
                    threshold=shown.threshold,
                    required=shown.required,
                    passed=shown.passed,
                )
            )
        return scorer_pb2.ScoreResponse(
            passed=score.passed,
            score=score.score,
            dimensions=dimensions,
            perceptual_hash=score.perceptual_hash or "",
        )

    async def Profiles(  # noqa: N802 (named by the proto)
        self,
        request: scorer_pb2.ProfilesRequest,
        context: grpc.aio.ServicerContext[scorer_pb2.ProfilesRequest, scorer_pb2.ProfilesResponse],
    ) -> scorer_pb2.ProfilesResponse:
        """List every profile version."""
        del request, context
        profiles = []
        for profile in self._scorer.profiles():
            dimensions = [
                scorer_pb2.ProfileDimension(
                    name=rule.name, tier=rule.tier, required=rule.required, threshold=rule.threshold
                )
                for rule in profile.dimensions
            ]
            dimensions += [
                scorer_pb2.ProfileDimension(name=rule.name, tier=3, required=rule.required, threshold=100.0)
                for rule in profile.rules
            ]
            profiles.append(
                scorer_pb2.Profile(
                    name=profile.name, version=profile.version, sha256=profile.sha256, dimensions=dimensions
                )
            )
        return scorer_pb2.ProfilesResponse(profiles=profiles)


async def _abort(context: Any, error: WinnowError) -> None:
    status = grpc.StatusCode.FAILED_PRECONDITION
    if isinstance(error, NotFound) or error.code is ErrorCode.unknown_profile:
        status = grpc.StatusCode.NOT_FOUND
    elif isinstance(error, Unavailable):
        status = grpc.StatusCode.UNAVAILABLE
    elif error.code is ErrorCode.image_too_large:
        status = grpc.StatusCode.INVALID_ARGUMENT
    await context.abort(status, error.detail, trailing_metadata=(("winnow-code", error.code.value),))
