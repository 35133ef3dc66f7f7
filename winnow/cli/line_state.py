"""The line of a data directory as its record and its probes show it: processes, addresses, readiness."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from winnow.cli.errors import CliError
from winnow.cli.line_access import LineAccess
from winnow.local.record import LineRecord, ProcessState

STATE_FILE: Final = "stack.json"
"""The file in the data directory where the embedded stack keeps ports, secrets and its process id."""
_PROBE_TIMEOUT_S: Final = 3.0
_READY: Final = 200
_API: Final = "ingest"


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """A process of the line now.

    ``state`` is that of the record, or ``not ready`` for a process whose probe says so. ``address`` is where clients
    reach it, for a service without a public door that of its probes.
    """

    name: str
    kind: str
    address: str
    state: str
    pid: int
    restarts: int
    log: str

    @property
    def is_ready(self) -> bool:
        """Return whether it serves."""
        return self.state == "ready"

    def document(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return fields | {"is_ready": self.is_ready}


def read_record(data_dir: Path) -> LineRecord:
    """Return the record of the line; empty for a new directory. Raises CliError for a damaged one."""
    try:
        return LineRecord.read(data_dir)
    except (ValueError, TypeError, KeyError) as error:
        raise CliError(
            f"The record of the line in {data_dir} is not readable.",
            hint="`winnow down` and `winnow up` write it anew.",
        ) from error


def process_statuses(record: LineRecord, access: LineAccess) -> list[ProcessStatus]:
    """Return the status of every process of a running line: servers first, then services, then simulators."""
    order = {"server": 0, "service": 1, "simulator": 2}
    statuses = [_status(process, access) for process in record.processes]
    return sorted(statuses, key=lambda status: order.get(status.kind, len(order)))


def is_ready(url: str) -> bool:
    """Return whether the probe ``/readyz`` below a URL answers 200."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_PROBE_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == _READY
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _status(process: ProcessState, access: LineAccess) -> ProcessStatus:
    state = process.state
    if state == "ready" and process.kind != "server" and not is_ready(process.address):
        state = "not ready"
    return ProcessStatus(
        name=process.name,
        kind=process.kind,
        address=access.api_url if process.name == _API and access.api_url else process.address,
        state=state,
        pid=process.pid,
        restarts=process.restarts,
        log=process.log,
    )


def read_state(data_dir: Path) -> Mapping[str, Any]:
    """Return what the embedded stack keeps with the data; empty for a new directory."""
    try:
        state: dict[str, Any] = json.loads((data_dir / STATE_FILE).read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise CliError(f"{data_dir / STATE_FILE} is not readable.") from error
    return state
