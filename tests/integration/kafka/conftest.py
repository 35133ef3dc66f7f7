"""Three nodes for all tests of this folder, whole again after each."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.integration.kafka.trial import Trial
from tests.support.servers.kafka import classpath
from tests.support.servers.kafka.cluster import KafkaCluster
from tests.support.servers.stack import note_exercised


@pytest.fixture(scope="session")
def three_nodes() -> Iterator[KafkaCluster]:
    with (
        tempfile.TemporaryDirectory(prefix="winnow-kafka-") as folder,
        KafkaCluster(Path(folder), 3) as cluster,
    ):
        note_exercised(f"Apache Kafka {classpath.version()}, three nodes")
        yield cluster


@pytest.fixture
async def cluster(three_nodes: KafkaCluster) -> AsyncIterator[KafkaCluster]:
    yield three_nodes
    await asyncio.to_thread(three_nodes.restore)


@pytest.fixture
async def trial(cluster: KafkaCluster, request: pytest.FixtureRequest) -> AsyncIterator[Trial]:
    async with Trial.running(cluster, request.node.name.removeprefix("test_")) as trial:
        yield trial
