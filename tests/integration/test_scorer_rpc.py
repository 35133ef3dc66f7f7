"""The scorer's gRPC face over a real server and channel on loopback, with the real process pool."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc.aio
import pytest

from services.scorer.app import Scorer
from services.scorer.engine.pool import ScoringPool
from services.scorer.inference.models import model_versions
from services.scorer.rpc import ScorerService
from tests.support.refusals import code_of
from tests.unit.scorer.fakes import PROFILES, RULES, MemoryObjects
from tests.unit.scorer.photographs import blurred, png, png_bomb, portrait, reshaped
from winnow.rpc.scorer.v1 import scorer_pb2, scorer_pb2_grpc

BUCKET = "winnow-private"


@pytest.fixture
async def objects() -> MemoryObjects:
    objects = MemoryObjects()
    objects.bodies = {
        "good": png(portrait()),
        "blurred": png(blurred(portrait(), 2)),
        "bomb": png_bomb(10_000, 10_000),
    }
    return objects


@pytest.fixture
async def stub(objects: MemoryObjects) -> AsyncIterator[scorer_pb2_grpc.ScorerServiceStub]:
    pool = ScoringPool(1)
    await pool.start(PROFILES.get("headshot").wanted())
    scorer = Scorer(objects=objects, measurer=pool, profiles=PROFILES, rules=RULES, models=model_versions())
    server = grpc.aio.server()
    ScorerService(scorer).register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield scorer_pb2_grpc.ScorerServiceStub(channel)
    await server.stop(None)
    pool.stop()


async def test_score_tells_every_dimension(stub: scorer_pb2_grpc.ScorerServiceStub) -> None:
    good = await stub.Score(
        scorer_pb2.ScoreRequest(bucket=BUCKET, key="good", profile="headshot"), timeout=10
    )
    assert good.passed
    assert {dimension.name for dimension in good.dimensions} >= {"sharpness", "face_count", "eyes_open"}
    poor = await stub.Score(
        scorer_pb2.ScoreRequest(bucket=BUCKET, key="blurred", profile="headshot"), timeout=10
    )
    assert not poor.passed
    assert good.score > poor.score


async def test_score_compares_with_the_reference_that_is_named(
    stub: scorer_pb2_grpc.ScorerServiceStub, objects: MemoryObjects
) -> None:
    objects.bodies["other"] = png(reshaped(portrait()))
    distances = []
    for reference_key in ("good", "other"):
        request = scorer_pb2.ScoreRequest(
            bucket=BUCKET, key="good", profile="headshot", profile_version=2, reference_key=reference_key
        )
        answer = await stub.Score(request, timeout=20)
        [found] = [dimension for dimension in answer.dimensions if dimension.name == "identity_distance"]
        distances.append(found.raw)
    assert distances[0] < 0.01
    assert distances[1] > 0.5


async def test_screen_accepts_and_refuses(stub: scorer_pb2_grpc.ScorerServiceStub) -> None:
    good = await stub.Screen(
        scorer_pb2.ScreenRequest(bucket=BUCKET, key="good", profile="headshot"), timeout=10
    )
    assert (good.accepted, good.width, good.height) == (True, 512, 512)
    bomb = await stub.Screen(scorer_pb2.ScreenRequest(bucket=BUCKET, key="bomb"), timeout=10)
    assert (bomb.accepted, bomb.code) == (False, "image_too_large")


async def test_profiles_are_listed_with_hash_and_thresholds(stub: scorer_pb2_grpc.ScorerServiceStub) -> None:
    answer = await stub.Profiles(scorer_pb2.ProfilesRequest(), timeout=10)
    headshot = next(profile for profile in answer.profiles if profile.name == "headshot")
    assert len(headshot.sha256) == 64
    assert any(dimension.name == "eyes_open" and dimension.required for dimension in headshot.dimensions)


@pytest.mark.parametrize(
    ("key", "profile", "status", "code"),
    [
        ("absent", "headshot", grpc.StatusCode.NOT_FOUND, "not_found"),
        ("good", "beauty", grpc.StatusCode.NOT_FOUND, "unknown_profile"),
    ],
)
async def test_score_maps_refusals_to_statuses(
    stub: scorer_pb2_grpc.ScorerServiceStub, key: str, profile: str, status: grpc.StatusCode, code: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.Score(scorer_pb2.ScoreRequest(bucket=BUCKET, key=key, profile=profile), timeout=10)
    assert raised.value.code() is status
    assert code_of(raised.value) == code


async def test_score_says_unavailable_when_the_store_is_down(
    stub: scorer_pb2_grpc.ScorerServiceStub, objects: MemoryObjects
) -> None:
    objects.is_down = True
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.Score(scorer_pb2.ScoreRequest(bucket=BUCKET, key="good", profile="headshot"), timeout=10)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
