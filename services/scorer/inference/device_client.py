"""A scoring process's line to the process that owns the device: networks there look like networks here."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.scorer.inference.device_protocol import DeviceGone, DeviceRefused
from services.scorer.inference.framing import Arrays, Head, receive, send
from services.scorer.inference.manifest import ModelEntry
from services.scorer.inference.models import ModelMissing
from services.scorer.inference.network import Floats, Network


class DeviceClient:
    """One connection, one request at a time; opened when first used. Belongs to one thread."""

    def __init__(self, address: str) -> None:
        """Take the path of the device's socket."""
        self._address = address
        self._socket: socket.socket | None = None

    def load(self, directory: Path, entry: ModelEntry) -> Network:
        """Return a network of the device, which must have read the same ``directory``.

        Raises ModelMissing, DeviceGone.
        """
        head, _ = self.ask({"open": entry.sha256}, ())
        if "missing" in head:
            raise ModelMissing(head["missing"] or f"the device did not read {directory} with {entry.name}")
        return Network(_RemoteRunner(self, entry.sha256, head), entry.input)

    def ask(self, head: Head, arrays: Arrays) -> tuple[Head, Arrays]:
        """Send a request and wait for its answer; raises DeviceGone, DeviceRefused."""
        try:
            answer, outputs = self._asked(head, arrays)
        except OSError as error:
            raise DeviceGone from error
        if "refused" in answer:
            raise DeviceRefused(answer["refused"])
        return answer, outputs

    def _asked(self, head: Head, arrays: Arrays) -> tuple[Head, Arrays]:
        if self._socket is not None:
            # An open connection may be to a process that was replaced since; only a fresh one that fails tells.
            with contextlib.suppress(OSError):
                return _exchanged(self._socket, head, arrays)
            self.close()
        self._socket = self._connected()
        try:
            return _exchanged(self._socket, head, arrays)
        except OSError:
            self.close()
            raise

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

    def __init__(self, line: DeviceClient, key: str, opened: Head) -> None:
        self._line, self._key = line, key
        self._rows_max = int(opened["rows_max"])
        self.input_names = tuple(opened["input_names"])
        self.metadata: Mapping[str, str] = opened["metadata"]

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> list[Floats]:
        ordered = [inputs[name] for name in self.input_names]
        parts = []
        for start in range(0, len(ordered[0]), self._rows_max):
            rows = tuple(array[start : start + self._rows_max] for array in ordered)
            parts.append(self._line.ask({"run": self._key}, rows)[1])
        if len(parts) == 1:
            return list(parts[0])
        return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _exchanged(line: socket.socket, head: Head, arrays: Arrays) -> tuple[Head, Arrays]:
    send(line, head, arrays)
    return receive(line)
