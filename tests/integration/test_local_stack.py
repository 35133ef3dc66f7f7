"""The embedded stack: data survives, links expire, nothing is left behind, and clashes are said."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.support.eventually import eventually
from winnow.local.process import started_at
from winnow.local.stack import DataDirectoryInUse, EmbeddedStack
from winnow.runtime.mongo import Mongo
from winnow.runtime.objects import Objects
from winnow.runtime.topics import apply_topics

TOPIC = "winnow.tasks.v1"
OWNER = """
import sys, time
from pathlib import Path
from winnow.local.stack import EmbeddedStack
stack = EmbeddedStack(Path(sys.argv[1]), bus_engine="memory").start()
print(",".join(str(one.pid) for one in stack.processes), flush=True)
time.sleep(120)
"""


def objects_of(stack: EmbeddedStack) -> Objects:
    addresses = stack.addresses
    return Objects(addresses.s3_endpoint, "us-east-1", addresses.s3_access_key, addresses.s3_secret_key)


async def write(stack: EmbeddedStack) -> None:
    await apply_topics(stack.addresses.kafka_bootstrap, shards=2, replicas=1)
    producer = AIOKafkaProducer(bootstrap_servers=stack.addresses.kafka_bootstrap, acks="all")
    await producer.start()
    await producer.send_and_wait(TOPIC, b"kept", partition=1)
    await producer.stop()
    mongo = Mongo(stack.addresses.mongo_uri, "kept")
    await mongo.database["things"].insert_one({"_id": "kept"})
    mongo.close()
    objects = objects_of(stack)
    await objects.put("winnow-outputs", "kept.txt", b"kept", "text/plain")
    objects.close()


async def read(stack: EmbeddedStack) -> None:
    consumer = AIOKafkaConsumer(
        TOPIC, bootstrap_servers=stack.addresses.kafka_bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        record = await asyncio.wait_for(consumer.getone(), 20)
    finally:
        await consumer.stop()
    assert (record.value, record.partition) == (b"kept", 1)
    mongo = Mongo(stack.addresses.mongo_uri, "kept")
    assert await mongo.database["things"].find_one({"_id": "kept"})
    mongo.close()
    objects = objects_of(stack)
    assert await objects.get("winnow-outputs", "kept.txt", 100) == b"kept"
    objects.close()


def test_topics_documents_and_objects_survive_a_restart(tmp_path: Path) -> None:
    with EmbeddedStack(tmp_path) as stack:
        ports = dict(stack.ports)
        asyncio.run(write(stack))
        with pytest.raises(DataDirectoryInUse, match="already runs"):
            EmbeddedStack(tmp_path).start()
    assert (tmp_path / "stack.json").stat().st_mode & 0o077 == 0
    with EmbeddedStack(tmp_path) as stack:
        assert stack.ports == ports
        asyncio.run(read(stack))


def test_an_expired_link_is_refused_and_so_is_one_without_a_signature(tmp_path: Path) -> None:
    async def story(stack: EmbeddedStack) -> None:
        objects = objects_of(stack)
        await objects.put("winnow-outputs", "a.txt", b"a", "text/plain")
        link = await objects.presign_get(
            "winnow-outputs", "a.txt", expires_in_s=2, filename="a.txt", content_type="text/plain"
        )
        async with httpx.AsyncClient() as http:
            answer = await http.get(link)
            assert (answer.status_code, answer.content) == (200, b"a")
            assert (await http.get(link.partition("?")[0])).status_code == 403

            async def refused() -> bool:
                return (await http.get(link)).status_code == 403

            await eventually(refused, within_s=15, every_s=0.2)
        objects.close()

    with EmbeddedStack(tmp_path, bus_engine="memory") as stack:
        asyncio.run(story(stack))


async def test_killing_the_owner_leaves_no_server_behind(tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pids = [int(pid) for pid in (await asyncio.to_thread(owner.stdout.readline)).split(",")]
    owner.stdout.close()
    assert len(pids) == 3
    born = {pid: started_at(pid) for pid in pids}
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    await eventually(lambda: all(_is_gone(pid, born[pid]) for pid in pids), within_s=10)


def _is_gone(pid: int, born: str | None) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return started_at(pid) != born or " Z " in state.read_text()


def test_the_state_file_tells_times_and_ports_but_is_for_its_owner_only(tmp_path: Path) -> None:
    stack = EmbeddedStack(tmp_path)
    stack.keep(created_at=datetime(2026, 1, 1, tzinfo=UTC).isoformat())
    assert json.loads(stack.state_path.read_text())["created_at"].startswith("2026")
    assert stack.state_path.stat().st_mode & 0o077 == 0
