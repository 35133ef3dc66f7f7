"""Serves a simulator from a thread of the calling process, for tests."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

_START_LIMIT_S = 20.0


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Serve an app on a free loopback port; yield its base URL; stop it on leaving.

    Raises:
        RuntimeError: it did not start in time.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        config = uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            _await_start(server, thread)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join(_START_LIMIT_S)


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    until_s = time.monotonic() + _START_LIMIT_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > until_s:
            raise RuntimeError("the simulator did not start")
        time.sleep(0.01)
