"""Evidence of the line for an outsider: the topics, the journals, the public API, the receiver, logs and metrics.

Nothing of Winnow is imported here: what is looked at must not be read by the code that wrote it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from pymongo import MongoClient

from tests.support.ends import ends_of, records_of

TOPICS = ("winnow.tasks.v1", "winnow.accounts.v1", "winnow.ledger.commands.v1", "winnow.scorer.commands.v1")
JOURNALS = ("ingest", "ledger", "router", "delivery")


@dataclass
class Evidence:
    """All that the checker judges; ``tasks`` are the public answers by the id that a 202 promised."""

    account_id: str
    promised: list[str] = field(default_factory=list)
    robbed: list[str] = field(default_factory=list)
    """Tasks of which the scenario deleted every selected picture before it was delivered."""
    tasks: dict[str, Any] = field(default_factory=dict)
    bills: dict[str, Any] = field(default_factory=dict)
    balance: dict[str, Any] = field(default_factory=dict)
    links: list[tuple[str, str, int, str]] = field(default_factory=list)
    """(task, candidate, status, SHA-256 of the bytes) of every link that was handed out."""
    foreign_status: list[int] = field(default_factory=list)
    """Statuses that another account was answered for this account's tasks."""
    records: list[dict[str, Any]] = field(default_factory=list)
    """Every record of every topic, ``body`` parsed, ``raw`` as it was."""
    dead_letters: list[dict[str, Any]] = field(default_factory=list)
    journalled: list[tuple[str, str, bool]] = field(default_factory=list)
    """(service, text of a message that has a topic, whether its block is marked as sent)."""
    hooks: list[dict[str, Any]] = field(default_factory=list)
    hook_log: list[dict[str, Any]] = field(default_factory=list)
    lag: int = 0
    not_running: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    billed_twice: int = 0
    """Orders that a provider was given twice: the one unavoidable window, at our cost."""

    def mine(self, kind: str = "") -> list[dict[str, Any]]:
        """Return this account's records of a type, duplicates left out, in the order of the topic."""
        found: dict[str, dict[str, Any]] = {}
        for record in self.records:
            body = record["body"]
            if body.get("account_id") == self.account_id and (not kind or body.get("type") == kind):
                found.setdefault(str(body["event_id"]), body)
        return list(found.values())


async def read_topics(bootstrap: str, topics: Sequence[str]) -> list[dict[str, Any]]:
    """Read every record that is there now, from the first."""
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False) as consumer:
        partitions = await _partitions(consumer, topics)
        return [_record(record) async for record in records_of(consumer, partitions)]


async def dead_letter_topics(bootstrap: str) -> list[str]:
    """Name the topics of what was put aside."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        return sorted(topic for topic in await consumer.topics() if topic.endswith(".dlq"))
    finally:
        await consumer.stop()


async def read_lag(bootstrap: str, groups: Mapping[str, Sequence[str]]) -> int:
    """Sum what the groups have not committed yet."""
    lag = 0
    for group, topics in groups.items():
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
        await consumer.start()
        try:
            partitions = await _partitions(consumer, topics)
            for key, end in (await ends_of(consumer, partitions)).items():
                lag += max(0, end - (await consumer.committed(key) or 0))
        finally:
            await consumer.stop()
    return lag


async def _partitions(consumer: Any, topics: Sequence[str]) -> list[TopicPartition]:
    # Asked for by name: a client that follows no topic keeps no list of partitions.
    await consumer._client.set_topics(list(topics))
    return [
        TopicPartition(topic, number)
        for topic in topics
        for number in sorted(consumer.partitions_for_topic(topic) or ())
    ]


def _record(record: Any) -> dict[str, Any]:
    raw = record.value or b""
    try:
        body = json.loads(raw)
    except ValueError:
        body = {}
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "raw": raw,
        "headers": record.headers,
        "body": body if isinstance(body, dict) else {},
    }


def read_journals(uri: str) -> list[tuple[str, str, bool]]:
    """Read every message that a journal says is to be on the bus."""
    found: list[tuple[str, str, bool]] = []
    with MongoClient[dict[str, Any]](uri, timeoutMS=20_000) as client:
        for service in JOURNALS:
            database = client[f"winnow_{service}"]
            # A service may keep several journals beside each other, each with a prefix of its own.
            for name in database.list_collection_names():
                if not name.endswith("journal"):
                    continue
                steps = database[name.removesuffix("journal") + "folds"].find()
                sent_to = defaultdict(int, {row["_id"]: row.get("sent_to", 0) for row in steps})
                blocks = list(database[name].find())
                for block in blocks:
                    sent_to[block["shard"]] = max(sent_to[block["shard"]], block["sent_to"])
                found += [
                    (service, entry["body"], block["block_no"] <= sent_to[block["shard"]])
                    for block in blocks
                    for decision in block["decisions"]
                    for entry in decision["entries"]
                    if entry["topic"]
                ]
    return found


def find_leaks(canaries: Sequence[str], texts: Mapping[str, str]) -> list[str]:
    """Name the places in which one of the canaries is found."""
    return [place for place, text in texts.items() if any(canary in text for canary in canaries)]


def read_logs(folder: Path) -> dict[str, str]:
    """Read what every process wrote, also before it was started again."""
    return {path.name: path.read_text(errors="replace") for path in folder.glob("*.log*")}
