"""A simulator as a process of its own, as ``make run`` starts it."""

import json
import signal
import socket
import subprocess
import sys
from typing import Any

import httpx


def test_process_serves_until_interrupted(eventually: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "simulators.main",
        "--provider",
        "openai",
        "--profile",
        "flawless-openai",
    ]
    control = json.dumps({"outage": True})
    process = subprocess.Popen([*command, "--port", str(port), "--control", control])
    try:
        ready = eventually(lambda: _ready(port), within_s=20)
        assert ready == {"status": "ok", "provider": "openai"}
        answer = httpx.post(
            f"http://127.0.0.1:{port}/v1/images/generations",
            json={"prompt": "x"},
            headers={"authorization": "Bearer k"},
        )
        assert answer.status_code == 503
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(10)


def test_profile_of_another_provider_is_refused() -> None:
    command = [
        sys.executable,
        "-m",
        "simulators.main",
        "--provider",
        "fal",
        "--profile",
        "demo-openai",
        "--port",
        "1",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ended.returncode == 2
    assert "is for openai, not fal" in ended.stderr


def _ready(port: int) -> dict[str, str] | None:
    try:
        ready: dict[str, str] = httpx.get(f"http://127.0.0.1:{port}/readyz").json()
    except httpx.TransportError:
        return None
    return ready
