"""The embedded stack: one data directory, three servers, addresses and credentials kept with the data."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Self

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from winnow.local import ports as port_choice
from winnow.local import servers
from winnow.local.process import Managed, started_at
from winnow.local.record import Recorder
from winnow.local.supervised import NO_PROGRESS_S, Answer, Supervised

DISK_MIN_BYTES: Final = 500 * 1024 * 1024
_STATE: Final = "stack.json"


class NoDiskSpace(Exception):  # noqa: N818 (the noun of the problem)
    """Less space than the servers need."""


class DataDirectoryInUse(Exception):  # noqa: N818 (the noun of the problem)
    """Another stack runs on the same data."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Addresses of the servers, and the credentials of the object store."""

    kafka_bootstrap: str
    mongo_uri: str
    s3_endpoint: str
    s3_access_key: str
    s3_secret_key: str
    bus_settings: Mapping[str, str] = field(default_factory=lambda: dict(servers.TANSU_SETTINGS))
    """Settings that every service needs on this bus, each name without its prefix."""


class EmbeddedStack:
    """Starts and stops the three servers; data survives between starts."""

    def __init__(
        self,
        data_dir: Path,
        *,
        bus_engine: str = "s3",
        disk_min_bytes: int = DISK_MIN_BYTES,
        wanted_ports: Mapping[str, int] | None = None,
        kafka_bootstrap: str = "",
        progress: Callable[[str, str], None] = lambda _name, _step: None,
        no_progress_s: float = NO_PROGRESS_S,
    ) -> None:
        """Use a data directory, which is made if need be.

        ``bus_engine`` is ``s3``, or ``memory`` for topics that end with the stack; ``wanted_ports`` fixes ports by
        the names of ``servers.PORT_NAMES``. ``kafka_bootstrap`` is a running Apache Kafka, which then is the bus.
        ``progress`` takes (server, step); a starting server may make no progress for ``no_progress_s``.
        """
        self.root = data_dir.resolve()
        self.recorder = Recorder(self.root)
        """The record of the line on this directory; the stack begins and ends it."""
        self._progress = progress
        self._no_progress_s = no_progress_s
        self._engine = bus_engine
        self._kafka_bootstrap = kafka_bootstrap
        self._wanted_ports = dict(wanted_ports or {})
        self._disk_min_bytes = disk_min_bytes
        self._lock: IO[str] | None = None
        self.processes: list[Managed] = []
        self.servers: list[Supervised] = []
        self.ports: dict[str, int] = {}

    @property
    def state_path(self) -> Path:
        """Return the path of the file with ports and credentials, readable by the owner only."""
        return self.root / _STATE

    @property
    def addresses(self) -> Addresses:
        """Return the addresses of the running stack."""
        state = self.state()
        return Addresses(
            kafka_bootstrap=self._kafka_bootstrap or f"{port_choice.HOST}:{self.ports['kafka']}",
            mongo_uri=f"mongodb://{port_choice.HOST}:{self.ports['mongo']}/?directConnection=true",
            s3_endpoint=f"http://{port_choice.HOST}:{self.ports['s3']}",
            s3_access_key=state["s3_access_key"],
            s3_secret_key=state["s3_secret_key"],
            bus_settings=servers.KAFKA_SETTINGS if self._kafka_bootstrap else servers.TANSU_SETTINGS,
        )

    def state(self) -> dict[str, Any]:
        """Read what is kept with the data; empty for a new directory."""
        if not self.state_path.exists():
            return {}
        state: dict[str, Any] = json.loads(self.state_path.read_text())
        return state

    def keep(self, **values: Any) -> None:
        """Keep values with the data, atomically and readable by the owner only."""
        state = self.state() | values
        scratch = self.state_path.with_suffix(".new")
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as text:
            json.dump(state, text, indent=1)
        scratch.replace(self.state_path)

    def start(self) -> Self:
        """Start the servers and wait for them.

        Raises NoDiskSpace, DataDirectoryInUse, PortTaken or ServerDidNotStart; then nothing is left running.
        """
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._check_space()
        self._take_lock()
        self.recorder.begin()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self) -> None:
        state = self.state()
        kept = state.get("ports", {})
        servers.remove_sockets(kept)
        self.ports = port_choice.choose(servers.PORT_NAMES, kept, self._wanted_ports)
        access_key = state.get("s3_access_key") or secrets.token_hex(8)
        secret_key = state.get("s3_secret_key") or secrets.token_hex(24)
        self.keep(
            ports=kept | self.ports,
            s3_access_key=access_key,
            s3_secret_key=secret_key,
            pid=os.getpid(),
            pid_started_at=started_at(os.getpid()),
        )
        objects = self._launch_server(servers.seaweed(self.root, self.ports, access_key, secret_key), "s3")
        documents = self._launch_server(servers.secantus(self.root, self.ports), "mongo")
        self._wait(objects)
        if not self._kafka_bootstrap:
            bus = servers.tansu(self.root, self.ports, access_key, secret_key, self._engine)
            # Its topics lie in the object store.
            self._wait(
                self._launch_server(bus, "kafka", needs=[objects.name] if self._engine == "s3" else ())
            )
        self._wait(documents)

    def _launch_server(self, process: Managed, port_name: str, needs: Sequence[str] = ()) -> Supervised:
        def answer() -> Answer:
            is_ready = port_choice.listens(process.pid, self.ports[port_name])
            return Answer(is_ready and (process.name != servers.OBJECTS or self._buckets_made()))

        server = Supervised(
            process,
            answer,
            kind="server",
            address=f"{port_choice.HOST}:{self.ports[port_name]}",
            needs=needs,
            no_progress_s=self._no_progress_s,
        )
        self.tell(process.name, "starting")
        self.servers.append(server)
        self._launch(process)
        server.launched()
        return server

    def _launch(self, process: Managed) -> None:
        process.start()
        self.processes.append(process)

    def _wait(self, server: Supervised) -> None:
        server.wait_ready()
        self.tell(server.name, server.state.value)

    def tell(self, name: str, step: str) -> None:
        """Note a step of the line's start, in the record and for who asked for progress."""
        self.recorder.tell(name, step)
        self._progress(name, step)

    def _buckets_made(self) -> bool:
        """Make what is missing; a first write into each also makes the volumes that it will use."""
        client = self._s3()
        try:
            present = {buckets["Name"] for buckets in client.list_buckets()["Buckets"]}
            for bucket in servers.BUCKETS:
                if bucket not in present:
                    client.create_bucket(Bucket=bucket)
                client.put_object(Bucket=bucket, Key=".ready", Body=b"")
        except (BotoCoreError, ClientError):
            return False
        finally:
            client.close()
        return True

    def _s3(self) -> Any:
        addresses = self.addresses
        # The user's own profile, endpoint and proxy are for other stores.
        unset = (None, None, None, None)
        nowhere = (None, None, os.devnull, None)
        session = botocore.session.Session(
            session_vars={"profile": unset, "config_file": nowhere, "credentials_file": nowhere}
        )
        return session.create_client(
            "s3",
            endpoint_url=addresses.s3_endpoint,
            region_name="us-east-1",
            aws_access_key_id=addresses.s3_access_key,
            aws_secret_access_key=addresses.s3_secret_key,
            config=Config(connect_timeout=2, read_timeout=5, retries={"max_attempts": 1}, proxies={}),
        )

    def stop(self) -> None:
        """Stop the servers, the bus before the store it writes to; the others meanwhile."""
        for process in reversed(self.processes):
            if process.name != servers.OBJECTS:
                process.terminate()
        for process in reversed(self.processes):
            if process.name != servers.OBJECTS:
                process.stop()
        for process in self.processes:
            process.stop()
        self.processes.clear()
        self.servers.clear()
        servers.remove_sockets(self.ports)
        if self._lock is not None:
            self.recorder.end()
            self._lock.close()
            self._lock = None

    def check(self) -> None:
        """Raise ServerEnded when a server has ended on its own."""
        for process in self.processes:
            process.check_running()

    def _check_space(self) -> None:
        free = shutil.disk_usage(self.root).free
        if free < self._disk_min_bytes:
            needs, left = self._disk_min_bytes // 2**20, free // 2**20
            raise NoDiskSpace(
                f"not enough disk space: {needs} MiB are needed at {self.root}, {left} MiB are free"
            )

    def _take_lock(self) -> None:
        lock = (self.root / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            lock.close()
            raise DataDirectoryInUse(
                f"a stack already runs on {self.root} (process {holder}); stop it with `winnow down`"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()
