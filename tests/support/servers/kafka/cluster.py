"""One or three nodes in KRaft mode, each broker and controller, on loopback and in directories of their own."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.support.servers.kafka.classpath import class_path, formatted_folder, java
from winnow.local.ports import HOST, choose, listens
from winnow.local.process import Managed

_WITHIN_S = 90.0
_CLUSTER_ID = "d2lubm93LXRlc3Qta2Fma2"
_HEAP = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
_LOG = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true")


class KafkaCluster:
    """Nodes are numbered from 1; every one keeps its ports and its data over a restart."""

    def __init__(self, folder: Path, nodes: int = 1) -> None:
        self._folder = folder
        self._numbers = range(1, nodes + 1)
        self._ports = choose(
            [f"{kind}-{number}" for number in self._numbers for kind in ("bus", "quorum")], {}
        )
        self._nodes: dict[int, Managed] = {}
        self.advertised_ports: dict[int, int] = {}
        """Ports, by node, that clients are told in place of the real ones: those of a proxy; set before the start."""

    @property
    def bootstrap(self) -> str:
        """Return the addresses where clients connect: every node."""
        return ",".join(f"{HOST}:{self._ports[f'bus-{number}']}" for number in self._numbers)

    @property
    def numbers(self) -> list[int]:
        """The numbers of all nodes, running or not."""
        return list(self._numbers)

    def start(self) -> Self:
        """Format the storage and start every node; raises ServerDidNotStart, then nothing is left running."""
        try:
            self._format()
            for number in self._numbers:
                self.launch(number)
            for number in self._numbers:
                self.wait_listening(number)
        except BaseException:
            self.stop()
            raise
        return self

    def launch(self, number: int) -> None:
        """Start a node without waiting for it."""
        argv = [java(), *_HEAP, *_LOG, "-cp", class_path(), "kafka.Kafka", str(self._settings_path(number))]
        log = self._folder / f"logs/kafka-{number}.log"
        node = Managed(f"Apache Kafka node {number}", argv, log=log, cwd=self._folder, grace_s=30.0)
        self._nodes[number] = node
        node.start()

    def wait_listening(self, number: int) -> None:
        """Wait until a node listens for clients, which it does once it has caught up with the quorum."""
        node = self._nodes[number]
        node.wait_ready(lambda: listens(node.pid, self._ports[f"bus-{number}"]), _WITHIN_S)

    def kill(self, number: int) -> None:
        """End a node without a word."""
        self._nodes[number].kill()

    def terminate(self, number: int) -> None:
        """Ask a node to hand over and end, and wait until it has."""
        self._nodes[number].stop()

    def freeze(self, number: int) -> None:
        """Stop a node's clock: its connections stay open and nothing answers."""
        os.kill(self._nodes[number].pid, signal.SIGSTOP)

    def thaw(self, number: int) -> None:
        """Let a frozen node go on."""
        os.kill(self._nodes[number].pid, signal.SIGCONT)

    def restore(self) -> None:
        """Let every node run again, and wait for it."""
        for number, node in list(self._nodes.items()):
            if node.exit_code is None:
                self.thaw(number)
            else:
                self.launch(number)
        for number in self._numbers:
            self.wait_listening(number)

    def stop(self) -> None:
        """End every node, one after another asked, then waited for."""
        for node in self._nodes.values():
            node.terminate()
        for node in self._nodes.values():
            # The last nodes of a quorum have nobody left to hand over to.
            node.stop(grace_s=1.0)
        self._nodes.clear()

    def _settings_path(self, number: int) -> Path:
        return self._folder / f"node-{number}.properties"

    def _format(self) -> None:
        """Copy a formatted storage for every node: of the settings it holds the number of the node alone."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for number in self._numbers:
            path = self._settings_path(number)
            path.write_text("".join(f"{name}={value}\n" for name, value in self._settings(number).items()))
        for number, formatted in _formatted({n: self._settings(n) for n in self._numbers}).items():
            shutil.copytree(formatted, self._data_path(number))

    def _data_path(self, number: int) -> Path:
        return self._folder / f"data-{number}"

    def _settings(self, number: int) -> dict[str, str]:
        copies = str(len(self._numbers))
        in_sync = str(len(self._numbers) // 2 + 1)
        bus = f"PLAINTEXT://{HOST}:{self._ports[f'bus-{number}']}"
        quorum = ",".join(f"{node}@{HOST}:{self._ports[f'quorum-{node}']}" for node in self._numbers)
        return {
            "process.roles": "broker,controller",
            "node.id": str(number),
            "controller.quorum.voters": quorum,
            "listeners": f"{bus},CONTROLLER://{HOST}:{self._ports[f'quorum-{number}']}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{self.advertised_ports.get(number, self._ports[f'bus-{number}'])}",
            "inter.broker.listener.name": "PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": str(self._data_path(number)),
            "auto.create.topics.enable": "false",
            "unclean.leader.election.enable": "false",
            "default.replication.factor": copies,
            "min.insync.replicas": in_sync,
            "offsets.topic.replication.factor": copies,
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": in_sync,
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": copies,
            "share.coordinator.state.topic.min.isr": in_sync,
            "group.initial.rebalance.delay.ms": "0",
            "num.network.threads": "2",
            "num.io.threads": "2",
            "log.cleaner.dedupe.buffer.size": "2097152",
        }

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _formatted(settings: Mapping[int, Mapping[str, str]]) -> dict[int, Path]:
    """Return a formatted storage for each number; what is not there yet is formatted for all later sessions."""
    folder = formatted_folder()
    folder.mkdir(parents=True, exist_ok=True)
    made = {number: folder / f"data-{number}" for number in settings}
    # Several processes start clusters; the first formats, the others wait for it.
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = [number for number, storage in made.items() if not storage.exists()]
        scratches = {number: folder / f"new-{number}" for number in missing}
        running = [
            _formatting({**settings[number], "log.dirs": str(scratches[number])}) for number in missing
        ]
        for process in running:
            said, _ = process.communicate(timeout=_WITHIN_S)
            assert process.returncode == 0, said
        for number, scratch in scratches.items():
            scratch.rename(made[number])
    return made


def _formatting(settings: Mapping[str, str]) -> subprocess.Popen[str]:
    storage = Path(settings["log.dirs"])
    shutil.rmtree(storage, ignore_errors=True)
    path = storage.with_suffix(".properties")
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    argv = [java(), *_HEAP, *_LOG, "-cp", class_path(), "kafka.tools.StorageTool", "format"]
    argv += ["-t", _CLUSTER_ID, "-c", str(path)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
