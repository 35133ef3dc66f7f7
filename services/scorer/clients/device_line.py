"""A scoring process's line to the process that owns the device: networks there look like networks here."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.scorer.clients.device_order import DeviceGone
from services.scorer.clients.manifest import ModelEntry
from services.scorer.clients.models import ModelMissing
from services.scorer.clients.network import Floats, Network
from services.scorer.clients.wire import Arrays, Head, receive, send


class DeviceRefused(ValueError):  # noqa: N818 (the noun of the problem)
    """The device runs, but not on these inputs."""


class DeviceLine:
    """One connection, one request at a time; opened when first used. Belongs to one thread."""

    def __init__(self, address: str) -> None:
        """Take the path of the device's socket."""
        self._address = address
        self._socket: socket.socket | None = None

    def load(self, directory: Path, entry: ModelEntry) -> Network:
        """Give a network of the device, which must have read the same ``directory``; raises ModelMissing, DeviceGone."""
        head, _ = self.ask({"open": entry.sha256}, ())
        if "missing" in head:
            raise ModelMissing(head["missing"] or f"the device did not read {directory} with {entry.name}")
        return Network(_RemoteRunner(self, entry.sha256, head), entry.input)

    def ask(self, head: Head, arrays: Arrays) -> tuple[Head, Arrays]:
        """Send a request and wait for its answer; raises DeviceGone, DeviceRefused."""
        try:
            line = self._socket = self._socket or self._connected()
            send(line, head, arrays)
            answer, outputs = receive(line)
        except OSError as error:
            self.close()
            raise DeviceGone from error
        if "refused" in answer:
            raise DeviceRefused(answer["refused"])
        return answer, outputs

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connected(self) -> socket.socket:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.connect(self._address)
        except OSError:
            line.close()
            raise
        return line


class _RemoteRunner:
    """Runs a network on the device, in as many rows at once as it takes."""

    def __init__(self, line: DeviceLine, key: str, opened: Head) -> None:
        self._line, self._key = line, key
        self._rows_max = int(opened["rows_max"])
        self.input_names = tuple(opened["input_names"])
        self.metadata: Mapping[str, str] = opened["metadata"]

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> list[Floats]:
        ordered = [inputs[name] for name in self.input_names]
        parts = []
        for start in range(0, len(ordered[0]), self._rows_max):
            rows = tuple(one[start : start + self._rows_max] for one in ordered)
            parts.append(self._line.ask({"run": self._key}, rows)[1])
        if len(parts) == 1:
            return list(parts[0])
        return [np.concatenate(column) for column in zip(*parts, strict=True)]
