"""The embedded stack: data survives, links expire, nothing is left behind, and clashes are said."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError

from tests.support.eventually import eventually
from winnow.adapters.mongo import Mongo
from winnow.adapters.object_store import ObjectStore
from winnow.adapters.topics import apply_topics
from winnow.local import servers
from winnow.local.ports import HOST, PortTaken, choose
from winnow.local.process import Managed, ServerDidNotStart, ServerEnded, started_at
from winnow.local.stack import DataDirectoryInUse, EmbeddedStack

TOPIC = "winnow.tasks.v1"
LOOPBACK = "0100007F"  # as the kernel writes 127.0.0.1
OWNER = """
import sys, time
from pathlib import Path
from winnow.local.stack import EmbeddedStack
stack = EmbeddedStack(Path(sys.argv[1])).start()
print(",".join(str(one.pid) for one in stack.processes), flush=True)
time.sleep(120)
"""


def objects_of(stack: EmbeddedStack) -> ObjectStore:
    addresses = stack.addresses
    return ObjectStore(addresses.s3_endpoint, "us-east-1", addresses.s3_access_key, addresses.s3_secret_key)


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
    await objects.close()


async def _consumer(stack: EmbeddedStack) -> AIOKafkaConsumer | None:
    """Start a consumer, None when the broker, which listens, does not answer yet."""
    consumer = AIOKafkaConsumer(
        TOPIC, bootstrap_servers=stack.addresses.kafka_bootstrap, auto_offset_reset="earliest"
    )
    try:
        await consumer.start()
    except KafkaConnectionError:
        await consumer.stop()
        return None
    return consumer


async def read(stack: EmbeddedStack) -> None:
    consumer = await eventually(lambda: _consumer(stack), within_s=20)
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
    await objects.close()


def sockets_of(ports: Mapping[str, int]) -> Iterator[Path]:
    for port in ports.values():
        yield from Path("/tmp").glob(f"seaweedfs-*-{port}.sock")


def listeners_of(stack: EmbeddedStack) -> dict[int, str]:
    """Return the port and the address of every TCP listener of the stack's processes."""
    held: set[str] = set()
    for process in stack.processes:
        for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                held.add(str(descriptor.readlink()))
    found: dict[int, str] = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            address, _, port = fields[1].partition(":")
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in held:
                found[int(port, 16)] = address
    return found


def test_topics_documents_and_objects_survive_a_restart(tmp_path: Path) -> None:
    with EmbeddedStack(tmp_path) as stack:
        ports = dict(stack.ports)
        asyncio.run(write(stack))
        with pytest.raises(DataDirectoryInUse, match=rf"already runs on .*\(process {os.getpid()}\)"):
            EmbeddedStack(tmp_path).start()
        stack.check()
        assert listeners_of(stack) == dict.fromkeys(ports.values(), LOOPBACK)
        assert "telemetry.seaweedfs.com" not in stack.processes[0].log.read_text()
    assert (tmp_path / "stack.json").stat().st_mode & 0o077 == 0
    assert not list(sockets_of(ports))
    taken = ports["s3"]
    with socket.socket() as stranger:
        stranger.bind((HOST, taken))
        stranger.listen()
        with EmbeddedStack(tmp_path) as stack:
            assert stack.ports["s3"] != taken
            assert {**stack.ports, "s3": taken} == ports
            asyncio.run(read(stack))


def test_an_expired_link_is_refused_also_where_a_proxy_and_other_stores_are_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
        await objects.close()

    stack = EmbeddedStack(tmp_path, bus_engine="memory")
    with monkeypatch.context() as surroundings:
        for name in ("HTTP_PROXY", "http_proxy", "AWS_ENDPOINT_URL_S3"):
            surroundings.setenv(name, "http://127.0.0.1:9")
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECRET_ACCESS_KEY"):
            surroundings.setenv(name, "of-another-store")
        stack.start()
    try:
        asyncio.run(story(stack))
        stack.processes[-1].kill()
        with pytest.raises(ServerEnded, match="Tansu ended on its own"):
            stack.check()
    finally:
        stack.stop()


async def test_killing_the_owner_leaves_no_server_behind_and_loses_nothing(tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pids = [int(pid) for pid in (await asyncio.to_thread(owner.stdout.readline)).split(",")]
    owner.stdout.close()
    assert len(pids) == 3
    born = {pid: started_at(pid) for pid in pids}
    stack = EmbeddedStack(tmp_path)
    stack.ports = stack.state()["ports"]
    await write(stack)
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    await eventually(lambda: all(_is_gone(pid, born[pid]) for pid in pids), within_s=10)
    await asyncio.to_thread(stack.start)
    try:
        await read(stack)
    finally:
        await asyncio.to_thread(stack.stop)


def test_a_server_whose_port_is_taken_meanwhile_is_named_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe = servers.tansu
    with socket.socket() as stranger:

        def late(root: Path, ports: Mapping[str, int], *rest: str) -> Managed:
            stranger.bind((HOST, ports["kafka"]))
            stranger.listen()
            return describe(root, ports, *rest)

        monkeypatch.setattr(servers, "tansu", late)
        stack = EmbeddedStack(tmp_path, bus_engine="memory")
        with pytest.raises(ServerDidNotStart, match="Tansu did not start: it ended with status") as refused:
            stack.start()
    assert "Address in use" in str(refused.value)
    assert stack.processes == []


def test_a_broken_binary_is_named_with_its_log_and_the_others_are_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "weed").write_text("#!/bin/sh\necho 'no such instruction' >&2\nexit 3\n")
    (programs / "weed").chmod(0o755)
    shutil.copy2(servers.BIN / "secantusd-py", programs)
    monkeypatch.setattr(servers, "BIN", programs)
    launched: list[Managed] = []
    launch = EmbeddedStack._launch

    def noted(stack: EmbeddedStack, process: Managed) -> None:
        launched.append(process)
        launch(stack, process)

    monkeypatch.setattr(EmbeddedStack, "_launch", noted)
    with pytest.raises(ServerDidNotStart, match="SeaweedFS did not start: it ended with status 3") as refused:
        EmbeddedStack(tmp_path / "data").start()
    assert "no such instruction" in str(refused.value)
    assert [process.name for process in launched] == ["SeaweedFS", "SecantusDB"]
    assert all(started_at(process.pid) is None for process in launched)


def test_a_wanted_port_that_is_taken_is_refused_and_frees_the_directory(tmp_path: Path) -> None:
    port = choose(["kafka"], {})["kafka"]
    with socket.socket() as stranger:
        stranger.bind((HOST, port))
        stranger.listen()
        for _ in range(2):
            with pytest.raises(PortTaken, match=f"port {port} for kafka is already taken"):
                EmbeddedStack(tmp_path, wanted_ports={"kafka": port}).start()


def _is_gone(pid: int, born: str | None) -> bool:
    return started_at(pid) != born


def test_the_state_file_tells_times_and_ports_but_is_for_its_owner_only(tmp_path: Path) -> None:
    stack = EmbeddedStack(tmp_path)
    stack.keep(created_at=datetime(2026, 1, 1, tzinfo=UTC).isoformat())
    assert json.loads(stack.state_path.read_text())["created_at"].startswith("2026")
    assert stack.state_path.stat().st_mode & 0o077 == 0
