"""Commands of the line, run in the process of the test."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from typer.testing import CliRunner

from winnow.cli.main import app
from winnow.local.process import started_at
from winnow.local.record import LineRecord, ProcessState

READY = """
import http.server, sys
class Probe(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(sys.argv[1]))
        self.end_headers()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Probe)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments), terminal_width=200)
    assert "Traceback" not in result.output
    return result.exit_code, result.output


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def record(folder: Path, *processes: ProcessState, began: str | None = None) -> None:
    """Write the record of a line that this very process supervises."""
    LineRecord(os.getpid(), began or started_at(os.getpid()) or "", processes=processes).write(folder)


def process(name: str, port: int, **changes: object) -> ProcessState:
    fields: dict[str, object] = {
        "name": name,
        "kind": "service",
        "state": "ready",
        "pid": 7,
        "restarts": 0,
        "since": "2026-01-01T00:00:00.000+00:00",
        "address": f"http://127.0.0.1:{port}",
        "log": f"/logs/{name}.log",
    }
    return ProcessState(**fields | changes)  # type: ignore[arg-type]


@contextmanager
def probe(answer: int) -> Iterator[int]:
    """Answer every probe with a status; yield the port."""
    child = subprocess.Popen([sys.executable, "-c", READY, str(answer)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        yield int(child.stdout.readline())
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
