"""A TCP proxy on loopback that delays, drips, cuts and swallows, so that a service meets a bad network."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Self

from tests.support.servers.connections import ConnectionServer

_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Weather:
    """Effect of the network on each piece that passes, in both directions; all off is a clear day.

    ``refuses`` closes new connections and cuts old ones; ``swallows`` accepts and never passes anything on;
    ``drip_bytes`` passes answers in pieces of that size, each after ``delay_s``; ``cut_after_bytes`` closes a
    connection when that much of an answer has passed. ``one_way`` passes what is asked and drops what is answered; a
    connection that was so robbed is cut when the weather changes.
    """

    delay_s: float = 0.0
    drip_bytes: int = 0
    refuses: bool = False
    swallows: bool = False
    cut_after_bytes: int = 0
    one_way: bool = False


CLEAR = Weather()


class Proxy:
    """One listening port in front of one server."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._server = ConnectionServer(self._serve)
        self._open: set[asyncio.StreamWriter] = set()
        self._calm = asyncio.Event()
        self.weather = CLEAR
        self.dropped_bytes = 0
        self.port = 0

    async def start(self) -> Self:
        """Listen on a free port."""
        self.port = (await self._server.start()).port
        self._calm.set()
        return self

    async def stop(self) -> None:
        """Cut everything and stop listening."""
        await self._server.stop()

    def set(self, weather: Weather) -> None:
        """Change the weather for pieces that pass from now on."""
        was_one_way = self.weather.one_way
        self.weather = weather
        if weather.swallows:
            self._calm.clear()
        else:
            self._calm.set()
        if weather.refuses or was_one_way:
            self.cut()

    def cut(self) -> None:
        """Break every open connection."""
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.weather.refuses:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._to)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, far_writer}
        self._open |= pair
        pumps = [
            asyncio.create_task(self._pump(reader, far_writer, is_answer=False)),
            asyncio.create_task(self._pump(far_reader, writer, is_answer=True)),
        ]
        try:
            # One side's end is the other's: none of the protocols here uses half-closed connections.
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            self._open -= pair
            for stream in pair:
                stream.close()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        passed_bytes = 0
        with contextlib.suppress(OSError):
            while piece := await reader.read(_CHUNK_BYTES):
                await self._calm.wait()
                if is_answer and self.weather.one_way:
                    self.dropped_bytes += len(piece)
                    continue
                cut_after_bytes = self.weather.cut_after_bytes if is_answer else 0
                if cut_after_bytes:
                    piece = piece[: max(0, cut_after_bytes - passed_bytes)]
                await self._pass(piece, writer, is_answer=is_answer)
                passed_bytes += len(piece)
                if cut_after_bytes and passed_bytes >= cut_after_bytes:
                    return

    async def _pass(self, piece: bytes, writer: asyncio.StreamWriter, *, is_answer: bool) -> None:
        """Send a piece on, in the weather of each moment: when it clears, the rest goes at once."""
        while piece:
            weather = self.weather
            size = weather.drip_bytes if is_answer and weather.drip_bytes else len(piece)
            if weather.delay_s:
                await asyncio.sleep(weather.delay_s)
            writer.write(piece[:size])
            await writer.drain()
            piece = piece[size:]
