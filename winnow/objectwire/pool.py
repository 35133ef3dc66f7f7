"""Connections to the object store: kept between requests, limited in number, and ended when nothing moves."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from winnow.objectwire.connection import Answer, BrokenExchange, Connection, StaleConnection

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of a store. ``host_header`` names the port unless it is the scheme's own."""

    scheme: str
    host: str
    port: int
    host_header: str
    path: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a URL such as ``https://store:9000/prefix``; raises ValueError for one that names no server."""
        parts = urlsplit(url.rstrip("/"))
        is_plain = url.isascii() and url.isprintable() and " " not in url
        if not is_plain or parts.scheme not in _PORTS or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("the object store's address is no http or https URL")
        host = parts.hostname
        port = parts.port or _PORTS[parts.scheme]
        header = f"[{host}]" if ":" in host else host
        header += "" if port == _PORTS[parts.scheme] else f":{port}"
        return cls(parts.scheme, host, port, header, parts.path)

    @property
    def origin(self) -> str:
        """Return the URL without its path."""
        return f"{self.scheme}://{self.host_header}"


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a pool. ``silent_s`` counts from the last byte that moved, in steps of ``tick_s``."""

    connections: int = 32
    connect_s: float = 5.0
    silent_s: float = 30.0
    idle_s: float = 15.0
    tick_s: float = 1.0


class Pool:
    """Connections to an endpoint; the certificates that this machine trusts apply to TLS."""

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        """Connect on first use."""
        self._endpoint = endpoint
        self._limits = limits
        self._room = asyncio.Semaphore(limits.connections)
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._tls: ssl.SSLContext | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self.is_closed = False

    async def exchange(
        self, head: bytes, body: bytes, bytes_max: int | None, *, is_head: bool = False
    ) -> Answer:
        """Send a request and return its answer; raises BrokenExchange or OversizedContent.

        A kept connection may have ended unnoticed: then the request is sent again on a fresh connection, so a request
        must be harmless to repeat.
        """
        async with self._room:
            kept = self._idle.pop() if self._idle else None
            if kept is not None:
                try:
                    return await self._exchange(kept, head, body, bytes_max, is_head=is_head)
                except StaleConnection:
                    pass
            return await self._exchange(await self._connect(), head, body, bytes_max, is_head=is_head)

    async def close(self) -> None:
        """End all connections; requests that wait raise BrokenExchange."""
        self.is_closed = True
        if self._ticker is not None:
            self._ticker.cancel()
        for connection in tuple(self._all):
            connection.abort()
        # The loop tells of the ends in its next round.
        await asyncio.sleep(0)

    async def _exchange(
        self, connection: Connection, head: bytes, body: bytes, bytes_max: int | None, *, is_head: bool
    ) -> Answer:
        try:
            answer = await connection.send(head, body, bytes_max, is_head=is_head)
        except BaseException:
            # Also who gives up waiting leaves an answer behind that nobody may take for theirs.
            connection.abort()
            raise
        if connection.is_open:
            self._idle.append(connection)
        return answer

    async def _connect(self) -> Connection:
        if self.is_closed:
            raise BrokenExchange("the client is closed")
        if self._endpoint.scheme == "https" and self._tls is None:
            self._tls = ssl.create_default_context()
        try:
            async with asyncio.timeout(self._limits.connect_s):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self._forget), self._endpoint.host, self._endpoint.port, ssl=self._tls
                )
        # A name that cannot be encoded is a UnicodeError.
        except (OSError, UnicodeError) as error:
            raise BrokenExchange("no connection") from error
        self._all.add(connection)
        if self._ticker is None:
            self._wait()
        return connection

    def _forget(self, connection: Connection) -> None:
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _wait(self) -> None:
        self._ticker = asyncio.get_running_loop().call_later(self._limits.tick_s, self._tick)

    def _tick(self) -> None:
        """End what has been quiet for too long. Ticks are counted, so a loop that stands still ends nothing."""
        self._ticker = None
        for connection in tuple(self._all):
            quiet_s = connection.tick() * self._limits.tick_s
            if connection.is_busy and quiet_s >= self._limits.silent_s:
                connection.fail(BrokenExchange("the store has fallen silent"))
            elif not connection.is_busy and quiet_s >= self._limits.idle_s:
                connection.abort()
        if self._all and not self.is_closed:
            self._wait()
