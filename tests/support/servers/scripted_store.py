"""A store on a socket that answers each request as the test says, byte for byte."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from tests.support.servers.connections import listening

Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bool]]
"""Answers a request whose head is read; returns whether the connection stays."""


@dataclass
class ScriptedStore:
    """Answers by the script, then with 200 and no content; notes what was asked."""

    port: int = 0
    script: list[bytes | Act] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    open_max: int = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.open_max = max(self.open, self.open_max)
        try:
            while await self._answer(reader, writer):
                pass
        finally:
            self.open -= 1

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        step = self.script.pop(0) if self.script else answer(200)
        if not isinstance(step, bytes):
            return await step(reader, writer)
        self.bodies.append(await reader.readexactly(length_of(head)))
        writer.write(step)
        await writer.drain()
        return b"connection: close" not in step.lower()


def length_of(head: bytes) -> int:
    return next(
        (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )


def answer(status: int, content: bytes = b"", *headers: str) -> bytes:
    lines = "".join(f"{line}\r\n" for line in headers)
    return (
        f"HTTP/1.1 {status} Said\r\nServer: script\r\n{lines}Content-Length: {len(content)}\r\n\r\n".encode()
        + content
    )


def chunked(content: bytes, size: int) -> bytes:
    parts = [content[start : start + size] for start in range(0, len(content), size)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"


def in_pieces(words: bytes, pause_s: float) -> Act:
    """Write a byte at a time."""

    async def act(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        for byte in words:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(pause_s)
        return True

    return act


def then_close(words: bytes = b"") -> Act:
    """Write the words and end the connection, without reading the rest of the request."""

    async def act(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(words)
        with contextlib.suppress(OSError):
            await writer.drain()
        return False

    return act


async def never(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> bool:
    """Write nothing until the client goes away."""
    await reader.read()
    return False


@contextlib.asynccontextmanager
async def scripted(
    *script: bytes | Act, context: ssl.SSLContext | None = None
) -> AsyncIterator[ScriptedStore]:
    store = ScriptedStore(script=list(script))
    async with listening(store.serve, context) as store.port:
        yield store
