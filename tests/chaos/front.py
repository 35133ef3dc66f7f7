"""Stands in front of a simulated provider and spoils its answers: one request a connection, read whole, sent on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from tests.support.servers.connections import ConnectionServer


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer on its way back; ``declared_bytes`` overrides Content-Length, ``drip_s`` waits after every byte."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    declared_bytes: int | None = None
    drip_s: float = 0.0


Spoil = Callable[[str, str, Answer], Answer]
"""(method, path, answer) → the answer that is sent instead."""


def untouched(_method: str, _path: str, answer: Answer) -> Answer:
    """Spoil nothing."""
    return answer


class Front:
    """One listening port in front of one provider; ``spoil`` may be changed at any time."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._server = ConnectionServer(self._serve)
        self.spoil: Spoil = untouched
        self.spoilt_count = 0
        self.port = 0

    async def start(self) -> Self:
        """Listen on a free port."""
        self.port = (await self._server.start()).port
        return self

    async def stop(self) -> None:
        """Stop listening and cut everything."""
        await self._server.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            method, path, request = await _request(reader)
            answer = await self._ask(request)
        except ValueError:
            # The provider was killed in the middle of its answer, or the service in the middle of its request.
            return
        sent = self.spoil(method, path, answer)
        self.spoilt_count += sent != answer
        await _write(writer, sent)

    async def _ask(self, request: bytes) -> Answer:
        reader, writer = await asyncio.open_connection(*self._to)
        try:
            writer.write(request)
            head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
        finally:
            writer.close()
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = [
            (name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)
        ]
        kept = tuple(pair for pair in headers if pair[0] in {"retry-after", "location"})
        kind = dict(headers).get("content-type", "")
        return Answer(int(first.split()[1]), kind, body, kept)


async def _request(reader: asyncio.StreamReader) -> tuple[str, str, bytes]:
    """Read one request; it asks for the connection's end, so that the answer is all that comes."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ", 2)
    length = 0
    kept = [f"{method} {path} HTTP/1.1", "Connection: close"]
    for line in lines:
        name, _, value = line.partition(":")
        length = int(value) if name.lower() == "content-length" else length
        if name.lower() != "connection":
            kept.append(line)
    body = await reader.readexactly(length)
    return method, path, "\r\n".join(kept).encode("latin-1") + b"\r\n\r\n" + body


async def _write(writer: asyncio.StreamWriter, answer: Answer) -> None:
    length = len(answer.body) if answer.declared_bytes is None else answer.declared_bytes
    lines = [f"HTTP/1.1 {answer.status} Simulated", f"content-type: {answer.content_type}"]
    lines += [f"content-length: {length}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")
    if answer.drip_s:
        for number in range(len(answer.body)):
            writer.write(answer.body[number : number + 1])
            await writer.drain()
            await asyncio.sleep(answer.drip_s)
    else:
        writer.write(answer.body)
    await writer.drain()


def on_files(change: Callable[[Answer], Answer]) -> Spoil:
    """Spoil the pictures alone."""
    return lambda _method, path, answer: change(answer) if path.startswith("/files/") else answer


def on_answers(change: Callable[[Answer], Answer]) -> Spoil:
    """Spoil what the provider says to orders and questions, not its pictures."""
    return lambda _method, path, answer: answer if path.startswith("/files/") else change(answer)


def with_body(body: bytes) -> Callable[[Answer], Answer]:
    """Answer with other bytes."""
    return lambda answer: replace(answer, body=body)


def halved(answer: Answer) -> Answer:
    """Cut a body in half and say so: whole for HTTP, broken as a picture or as JSON."""
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def short(answer: Answer) -> Answer:
    """Promise more bytes than come."""
    return replace(answer, declared_bytes=len(answer.body) + 1000)


def dripping(answer: Answer) -> Answer:
    """Send a byte every half second."""
    return replace(answer, drip_s=0.5)


def encoded(encoding: str, body: bytes) -> Callable[[Answer], Answer]:
    """Answer with other bytes, said to be encoded."""
    return lambda answer: replace(
        answer, body=body, headers=(*answer.headers, ("content-encoding", encoding))
    )


def dripping_always(_method: str, _path: str, answer: Answer) -> Answer:
    """Drip every answer, whatever was asked."""
    return dripping(answer)


def large(size_bytes: int) -> Spoil:
    """Answer everything with so many zeros."""
    body = bytes(size_bytes)
    return lambda _method, _path, answer: replace(answer, body=body)
