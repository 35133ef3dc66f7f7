"""Records that nobody should have written, and records written again."""

from __future__ import annotations

import json
import random
from typing import Any

from aiokafka import AIOKafkaProducer

from tests.chaos.evidence import TOPICS, read_topics
from tests.chaos.world import ChaosWorld


async def repeat_all(chance: random.Random, world: ChaosWorld) -> None:
    """Write every record of every topic three times more, in any order within its partition."""
    records = [topic for topic in await read_topics(world.kafka_bootstrap, TOPICS) if topic["body"]] * 3
    chance.shuffle(records)
    async with AIOKafkaProducer(bootstrap_servers=world.kafka_bootstrap) as producer:
        for record in records:
            await producer.send(
                record["topic"],
                record["raw"],
                partition=record["partition"],
                headers=[("type", record["body"]["type"].encode())],
            )
        await producer.flush()
    world.notes["repeated"] = len(records)


async def poison_all(world: ChaosWorld) -> None:
    """Write bytes that are no JSON, JSON of no schema, headers that are no text, unknown types, and a huge body."""
    async with AIOKafkaProducer(bootstrap_servers=world.kafka_bootstrap) as producer:
        for topic in TOPICS:
            for number in range(2):
                for body, headers in _bad(topic):
                    await producer.send(topic, body, partition=number, headers=headers)
        await producer.flush()


def _bad(topic: str) -> list[tuple[bytes, list[tuple[str, bytes]]]]:
    known = {
        "winnow.tasks.v1": b"task.accepted",
        "winnow.accounts.v1": b"entry.recorded",
        "winnow.ledger.commands.v1": b"SettleCredits",
        "winnow.scorer.commands.v1": b"ScoreCandidates",
    }[topic]
    nonsense: Any = {"type": known.decode(), "version": 1}
    return [
        (b"\xff\x00\xfe not json", [("type", known)]),
        (json.dumps(nonsense).encode(), [("type", known)]),
        (b"[]", [("type", known)]),
        (b"{}", [("type", b"never.heard.of")]),
        (b"{}", [("type", b"\xff\xfe")]),
        (b"", []),
        (b'"' + b"x" * 900_000 + b'"', [("type", known)]),
    ]
