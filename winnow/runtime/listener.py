"""An HTTP listener that strangers may connect to: deadlines and limits for what they send, and whom to believe.

While no answer is under way a connection has a deadline: for a complete header, a complete body, or the next
request. An answer that is being written has none, so streams live on. A connection is cut when its client
takes none of the bytes that wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import sys
import termios
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Final, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from winnow.runtime.metrics import HTTP_CONNECTIONS_CLOSED
from winnow.runtime.settings import ServiceSettings

HEADER_BYTES_MAX: Final = 65_536
"""More than common proxies let through (nginx: 4 buffers of 8 KiB), so that they are the first to refuse."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Deadlines in seconds, and the connections that a listener has at once."""

    header_s: float
    body_s: float
    connections_max: int
    unread_s: float


class CountedTransport:
    """A transport that counts the bytes written and reports each write; the rest is the transport's own."""

    def __init__(self, transport: asyncio.Transport, on_write: Callable[[], None]) -> None:
        """Wrap a transport; ``on_write`` runs after each write."""
        self._transport = transport
        self._on_write = on_write
        self._written_bytes = 0

    def __getattr__(self, name: str) -> Any:
        """Return the transport's own attribute."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write, count and report."""
        self._written_bytes += len(data)
        self._transport.write(data)
        self._on_write()

    @property
    def drained_bytes(self) -> int:
        """Return how many bytes the client took; where the system does not tell, how many the system took.

        The system takes more in bursts of megabytes, so its own queue counts as waiting too.
        """
        drained = self._written_bytes - self._transport.get_write_buffer_size()
        with contextlib.suppress(OSError, ValueError):
            number = self._transport.get_extra_info("socket").fileno()
            drained -= int.from_bytes(fcntl.ioctl(number, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
        return drained


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with deadlines for header and body, and limits on header bytes and connections.

    Between two requests uvicorn's own keep-alive timer runs, which it stops at the first byte.
    """

    def __init__(self, limits: Limits, **named: Any) -> None:
        """Hold the limits; uvicorn passes the rest."""
        super().__init__(**named)
        self._limits = limits
        self._deadline: asyncio.TimerHandle | None = None
        self._awaits_header = False
        self._header_bytes = 0
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin the header's deadline, or refuse the connection."""
        self._counted = CountedTransport(transport, self._await_reader)
        super().connection_made(cast("asyncio.Transport", self._counted))
        self._await_header()
        if len(self.connections) > self._limits.connections_max:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "connections")

    def connection_lost(self, exc: Exception | None) -> None:
        """End both deadlines."""
        self._end_deadline()
        if self._unread is not None:
            self._unread.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what arrives; what is no part of a request begins the header's deadline too."""
        if self.transport.is_closing():
            return
        self._header_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._deadline is not None:
            if self._header_bytes > HEADER_BYTES_MAX:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "header_bytes")
        elif self._answered() and self.timeout_keep_alive_task is None:
            self._await_header()

    def on_message_begin(self) -> None:
        """Begin the header's deadline, unless it runs since the connection was made."""
        if not self._awaits_header:
            self._await_header()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Replace the header's deadline by the body's."""
        self._awaits_header = False
        self._header_bytes = 0
        self._begin_deadline()
        super().on_headers_complete()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header's field and drop a trailer's: nothing reads those."""
        if self._awaits_header:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Count anew: what comes between two parts of a body, or behind it, is bounded like a header."""
        self._header_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the deadline: what is left is the answer."""
        self._end_deadline()
        super().on_message_complete()

    def _await_reader(self) -> None:
        """Begin the deadline for bytes that wait; a closed connection has it too, which waits for its last bytes."""
        if self._unread is None and self._counted.get_write_buffer_size():
            self._unread = self.loop.call_later(
                self._limits.unread_s, self._unread_expired, self._counted.drained_bytes
            )

    def _unread_expired(self, drained_bytes: int) -> None:
        self._unread = None
        if self._counted.get_write_buffer_size() and self._counted.drained_bytes == drained_bytes:
            HTTP_CONNECTIONS_CLOSED.labels("unread").inc()
            self.transport.abort()
        else:
            self._await_reader()

    def _await_header(self) -> None:
        self._awaits_header = True
        self._header_bytes = 0
        self._begin_deadline()

    def _begin_deadline(self) -> None:
        self._end_deadline()
        seconds = self._limits.header_s if self._awaits_header else self._limits.body_s
        self._deadline = self.loop.call_later(seconds, self._expired)

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expired(self) -> None:
        earlier = bool(self.pipeline) or (self._awaits_header and not self._answered())
        if earlier or self.flow.read_paused:
            # The answer to an earlier request is never cut, and while reading is paused nobody can send the rest.
            self._begin_deadline()
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "header" if self._awaits_header else "body")

    def _answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        """Close the connection; a client is told the status unless an answer is under way."""
        HTTP_CONNECTIONS_CLOSED.labels(why).inc()
        self._end_deadline()
        if self._awaits_header:
            told = self._answered()
        else:
            told = not (self.cycle.response_started or self.pipeline)
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if told:
            self.transport.write(_answer(status))
        self.transport.close()


def _answer(status: HTTPStatus) -> bytes:
    body = status.phrase
    again = "retry-after: 1\r\n" if status is HTTPStatus.SERVICE_UNAVAILABLE else ""
    head = (
        f"HTTP/1.1 {status.value} {body}\r\ncontent-type: text/plain; charset=utf-8\r\n"
        f"content-length: {len(body)}\r\n{again}connection: close\r\n\r\n"
    )
    return f"{head}{body}".encode()


class Server(uvicorn.Server):
    """A uvicorn server that leaves signals to the service."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: the service drains all its parts in order."""
        yield


def http_server(app: Any, port: int, settings: ServiceSettings) -> Server:
    """Build the server of an ASGI application; nothing is bound before it serves."""
    limits = Limits(
        settings.http_header_timeout_s,
        settings.http_body_timeout_s,
        settings.http_connections_max,
        settings.http_unread_timeout_s,
    )
    trusted = [str(network) for network in settings.http_trusted_proxies]
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=port,
        http=cast("Any", partial(BoundedProtocol, limits)),
        ws="none",
        log_level="warning",
        access_log=False,
        lifespan="off",
        proxy_headers=bool(trusted),
        forwarded_allow_ips=trusted,
        timeout_keep_alive=cast("int", settings.http_keep_alive_timeout_s),
        timeout_graceful_shutdown=5,
        server_header=False,
    )
    return Server(config)
