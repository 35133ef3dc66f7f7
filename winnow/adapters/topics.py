"""Creates the topics and checks them at start; nothing else makes a topic."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError

from winnow.adapters.kafka_errors import kafka_answering
from winnow.contracts.errors import Unavailable
from winnow.contracts.topics import TOPICS, dead_letter_topics
from winnow.runtime.backoff import Backoff, until_available

_HOLDER = f"topics:{os.getpid()}"


async def apply_topics(bootstrap: str, *, shards: int, replicas: int, within_s: float = 60.0) -> list[str]:
    """Create every topic that is missing, with one partition a shard; return the names that were created.

    A created topic is waited for: a broker's metadata lag behind its controller's. Raises Unavailable when the
    broker does not answer or show the topics in time, or a topic has another number of partitions.
    """
    wanted: dict[str, dict[str, str]] = {
        topic.name: {
            "retention.ms": str(topic.retention_s * 1000),
            "max.message.bytes": str(topic.message_max_bytes),
        }
        for topic in TOPICS
    }
    wanted |= {name: {"retention.ms": str(400 * 24 * 3600 * 1000)} for name in dead_letter_topics()}
    admin = await _connect(bootstrap, within_s)
    try:
        present = set(await admin.list_topics())
        missing = [name for name in wanted if name not in present]
        if missing:
            # aiokafka reports a refused topic in the answer instead of raising.
            answer: Any = await admin.create_topics(
                [NewTopic(name, shards, replicas, topic_configs=wanted[name]) for name in missing]
            )
            for topic, code, *_ in answer.topic_errors:
                if code not in (0, TopicAlreadyExistsError.errno):
                    detail = f"the broker refused to create topic {topic} (code {code})"
                    raise Unavailable(detail)
        await _wait_shown(admin, list(wanted), shards, within_s if missing else 0)
    finally:
        await admin.close()
    return missing


async def check_topics(bootstrap: str, names: list[str], *, shards: int, within_s: float = 60.0) -> None:
    """Raise Unavailable unless the topics exist with one partition a shard."""
    admin = await _connect(bootstrap, within_s)
    try:
        await _wait_shown(admin, names, shards, 0)
    finally:
        await admin.close()


async def _connect(bootstrap: str, within_s: float) -> Any:
    async def connect() -> Any:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, client_id="winnow-topics")
        try:
            with kafka_answering():
                await admin.start()
        except Unavailable:
            await admin.close()
            raise
        return admin

    return await until_available(connect, _HOLDER, within_s)


async def _wait_shown(admin: Any, names: list[str], shards: int, within_s: float) -> None:
    deadline = asyncio.get_running_loop().time() + within_s
    backoff = Backoff(_HOLDER, 0.1, 2.0)
    while unseen := [topic for topic in await admin.describe_topics(names) if not _is_shown(topic, shards)]:
        if asyncio.get_running_loop().time() >= deadline:
            detail = f"topic {unseen[0]['topic']} does not exist: run `winnow topics apply`"
            raise Unavailable(detail)
        await asyncio.sleep(backoff.next_s())


def _is_shown(topic: Any, shards: int) -> bool:
    count = len(topic["partitions"])
    if topic["error_code"] == 0 and count not in (0, shards):
        detail = f"topic {topic['topic']} has {count} partitions, but the deployment has {shards} shards"
        raise Unavailable(detail)
    return topic["error_code"] == 0 and count > 0


def main() -> None:
    """Create the topics from the command line, for images without the ``winnow`` command."""
    parser = argparse.ArgumentParser(description="Create the topics that are missing and check the others.")
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--replicas", type=int, default=3)
    given = parser.parse_args()
    try:
        created = asyncio.run(apply_topics(given.bootstrap, shards=given.shards, replicas=given.replicas))
    except Unavailable as error:
        sys.exit(f"topics: {error.detail}")
    sys.stdout.write(f"topics created: {len(created)}\n")


if __name__ == "__main__":
    main()
