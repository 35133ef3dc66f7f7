"""The scorer as a process of its own, on a real bus and a real object store."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from model_builder.__main__ import build
from model_builder.sources import read_sources
from services.scorer.inference.manifest import BUILT
from tests.support.eventually import eventually
from tests.unit.scorer.photographs import blurred, exposed, photograph, png, portrait, reshaped
from winnow.adapters.object_store import ObjectStore
from winnow.adapters.topics import apply_topics
from winnow.contracts.commands import ScoreCandidates
from winnow.contracts.envelope import CONTENT_TYPE, Envelope, RecordedMessage
from winnow.contracts.events import CandidatesScored
from winnow.contracts.ids import Prefix, derive_id, shard_of
from winnow.contracts.topics import SCORER_COMMAND_TOPIC, TASKS, dead_letter_topic, group_of
from winnow.contracts.values import GeneratedCandidate, ProfileRef, StoredObject
from winnow.local.ports import choose
from winnow.local.stack import Addresses

SHARDS = 4
BUCKET = "winnow-private"


@pytest.fixture(scope="module")
def addresses(servers: Addresses) -> Addresses:
    asyncio.run(apply_topics(servers.kafka_bootstrap, shards=SHARDS, replicas=1))
    return servers


@dataclass
class Running:
    process: subprocess.Popen[bytes]
    ops_port: int
    log: Path

    async def wait_ready(self) -> None:
        async with httpx.AsyncClient(timeout=2.0) as client:

            async def is_ready() -> bool:
                if self.process.poll() is not None:
                    raise RuntimeError(self.log.read_text())
                try:
                    answer = await client.get(f"http://127.0.0.1:{self.ops_port}/readyz")
                except httpx.TransportError:
                    return False
                return answer.status_code == 200

            await eventually(is_ready, within_s=150)


@pytest.fixture(scope="module")
def models_built() -> None:
    failures = build(read_sources(), BUILT)
    assert not failures, failures


@pytest.fixture(scope="module")
def running(
    models_built: None, addresses: Addresses, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    log = tmp_path_factory.mktemp("scorer") / "scorer.log"
    ports = choose(["ops", "grpc"], {})
    settings = {
        "KAFKA_BOOTSTRAP": addresses.kafka_bootstrap,
        **addresses.bus_settings,
        "SHARDS": str(SHARDS),
        "S3_ENDPOINT": addresses.s3_endpoint,
        "S3_ACCESS_KEY": addresses.s3_access_key,
        "S3_SECRET_KEY": addresses.s3_secret_key,
        "OPS_PORT": str(ports["ops"]),
        "GRPC_PORT": str(ports["grpc"]),
        "PROCESSES": "1",
    }
    env = os.environ | {f"WINNOW_SCORER_{name}": value for name, value in settings.items()}
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.scorer.main"], env=env, stdout=stderr, stderr=stderr
        )
    try:
        yield Running(process, ports["ops"], log)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, log.read_text()


@pytest.fixture
async def objects(addresses: Addresses) -> AsyncIterator[ObjectStore]:
    store = ObjectStore(addresses.s3_endpoint, "us-east-1", addresses.s3_access_key, addresses.s3_secret_key)
    yield store
    await store.close()


async def upload(objects: ObjectStore, index: int, content: bytes) -> GeneratedCandidate:
    digest = hashlib.sha256(content).hexdigest()
    key = f"candidates/test/{digest}"
    await objects.put(BUCKET, key, content, "image/png")
    stored = StoredObject(
        bucket=BUCKET, key=key, sha256=digest, size_bytes=len(content), content_type="image/png"
    )
    return GeneratedCandidate(
        candidate_id=derive_id(Prefix.candidate, "it", index), stored=stored, seed=index
    )


def order(chunk: int, candidates: list[GeneratedCandidate]) -> ScoreCandidates:
    return ScoreCandidates(
        command_id=derive_id(Prefix.command, "it", chunk),
        chunk_id=derive_id(Prefix.chunk, "it", chunk),
        task_id=derive_id(Prefix.task, "it", chunk),
        account_id="acct_demo",
        round_index=0,
        profile=ProfileRef(name="headshot", version=1),
        candidates=candidates,
    )


async def send(producer: AIOKafkaProducer, body: bytes, key: str) -> None:
    await producer.send_and_wait(
        SCORER_COMMAND_TOPIC.name,
        body,
        key=key.encode(),
        partition=shard_of(key, SHARDS),
        headers=[("type", b"ScoreCandidates"), ("content-type", CONTENT_TYPE.encode())],
    )


def recorded(command: ScoreCandidates) -> bytes:
    envelope = Envelope(
        event_id=derive_id(Prefix.event, "it", command.command_id),
        occurred_at=datetime.now(UTC),
        producer="router",
        subject=command.task_id,
        sequence=0,
        correlation_id="it",
        causation_id="it",
    )
    return RecordedMessage(envelope, command).encode()


async def read(addresses: Addresses, topic: str, wanted: Callable[[bytes], bool], count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=addresses.kafka_bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=5
    )
    await consumer.start()
    found: list[bytes] = []
    try:
        async with asyncio.timeout(30):
            while len(found) < count:
                body = (await consumer.getone()).value
                if wanted(body):
                    found.append(body)
    finally:
        await consumer.stop()
    return found


async def scored(
    addresses: Addresses, commands: list[ScoreCandidates]
) -> list[RecordedMessage[CandidatesScored]]:
    chunks = {command.chunk_id for command in commands}
    bodies = await read(
        addresses, TASKS.name, lambda body: json.loads(body).get("chunk_id") in chunks, len(commands)
    )
    return [RecordedMessage.from_document(json.loads(body), CandidatesScored) for body in bodies]


async def order_all(
    addresses: Addresses, commands: list[ScoreCandidates], first: bytes | None = None
) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=addresses.kafka_bootstrap, acks="all")
    await producer.start()
    try:
        if first is not None:
            await send(producer, first, commands[0].chunk_id)
        for command in commands:
            await send(producer, recorded(command), command.chunk_id)
    finally:
        await producer.stop()


async def test_commands_become_scored_events(
    addresses: Addresses, running: Running, objects: ObjectStore
) -> None:
    await running.wait_ready()
    candidates = [
        await upload(objects, 0, png(portrait())),
        await upload(objects, 1, png(blurred(portrait(), 2))),
        await upload(objects, 2, png(portrait())[:10_000]),
    ]
    commands = [order(chunk, candidates) for chunk in range(6)]
    await order_all(addresses, commands)
    events = await scored(addresses, commands)
    assert {event.message.chunk_id for event in events} == {command.chunk_id for command in commands}
    for event in events:
        assert [candidate.passed for candidate in event.message.candidates] == [True, False, False]
        assert event.envelope.causation_id.startswith("cmd_")


@pytest.mark.timeout(300)
@pytest.mark.one_bus
async def test_candidates_are_compared_with_the_reference_of_the_order(
    addresses: Addresses, running: Running, objects: ObjectStore
) -> None:
    """One person's portrait only is free to use: another's is the same with its face out of proportion."""
    await running.wait_ready()
    candidate = await upload(objects, 0, png(portrait()))
    cup = (await upload(objects, 1, png(photograph("coffee.png")))).stored
    same = (await upload(objects, 2, png(portrait()[:, ::-1]))).stored
    other = (await upload(objects, 3, png(reshaped(portrait())))).stored
    darker = (await upload(objects, 4, png(exposed(portrait(), -2.5)))).stored
    absent = same.model_copy(update={"key": "inputs/test/absent"})
    given = {200: [cup, same], 201: [other], 202: [darker], 203: [absent], 204: [], 205: [cup]}
    commands = [
        order(chunk, [candidate]).model_copy(
            update={"inputs": inputs, "profile": ProfileRef(name="headshot", version=2)}
        )
        for chunk, inputs in given.items()
    ]
    await order_all(addresses, commands)
    events = {event.message.chunk_id: event.message for event in await scored(addresses, commands)}
    found = {}
    for chunk, command in zip(given, commands, strict=True):
        [verdict] = events[command.chunk_id].candidates
        found[chunk] = {dimension.name: dimension for dimension in verdict.dimensions}

    def raw_of(chunk: int, dimension: str) -> float:
        raw = found[chunk][dimension].raw
        assert raw is not None
        return raw

    assert raw_of(200, "identity_distance") < 0.2
    assert raw_of(201, "identity_distance") > 0.5
    assert raw_of(200, "skin_tone_shift") < 0.2
    assert raw_of(202, "skin_tone_shift") > 2
    assert [found[chunk]["identity_distance"].passed for chunk in (200, 201, 203)] == [True, False, False]
    assert not found[202]["skin_tone_shift"].passed
    for chunk, status, reason in (
        (203, "failure_to_assess", "reference_missing"),
        (204, "not_applicable", "no_reference"),
        (205, "not_applicable", "no_face_in_inputs"),
    ):
        told = found[chunk]["identity_distance"]
        assert (told.status, told.evidence["reason"]) == (status, reason)


async def test_poison_is_set_aside_and_the_command_behind_it_is_scored(
    addresses: Addresses, running: Running, objects: ObjectStore
) -> None:
    await running.wait_ready()
    commands = [order(100, [await upload(objects, 0, png(portrait()))])]
    poison = b"{ not json: scorer"
    await order_all(addresses, commands, first=poison)
    dead = dead_letter_topic(SCORER_COMMAND_TOPIC.name, group_of("scorer"))
    assert await read(addresses, dead, lambda body: body == poison, 1) == [poison]
    [event] = await scored(addresses, commands)
    assert event.message.candidates[0].passed


@pytest.mark.one_bus
async def test_metrics_count_verdicts_and_nothing_secret_is_logged(
    addresses: Addresses, running: Running
) -> None:
    await running.wait_ready()
    async with httpx.AsyncClient(timeout=5.0) as client:
        metrics = (await client.get(f"http://127.0.0.1:{running.ops_port}/metrics")).text
    assert 'winnow_scorer_candidates_total{profile="headshot",verdict="passed"}' in metrics
    assert 'winnow_scorer_dimension_failures_total{dimension="sharpness"' in metrics
    assert addresses.s3_secret_key not in running.log.read_text()
