"""A connection that carries requests over HTTP/1.1, and their answers; httptools reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

_OK: Final = 200
_HEADER_BYTES_MAX: Final = 65_536
_REFUSAL_BYTES_MAX: Final = 65_536
"""The text of a refusal is read up to here, so that the connection can be used again."""


class BrokenExchange(Exception):  # noqa: N818 (the noun of the problem)
    """The connection ended, fell silent, or brought what is no answer. The text names no object."""


class StaleConnection(BrokenExchange):
    """The connection ended before any of the answer came: on a kept connection, maybe before the request did."""


class RefusedRequest(Exception):  # noqa: N818 (the noun of the problem)
    """The store answered with a status that is no success. The text names no object."""

    def __init__(self, status: int) -> None:
        """Keep the status."""
        super().__init__(f"the store answered with status {status}")
        self.status = status


class OversizedContent(ValueError):  # noqa: N818 (the noun of the problem)
    """The content has more bytes than are allowed."""


class Answer(NamedTuple):
    """The status, and the content where it was asked for and the status is 200."""

    status: int
    content: bytes = b""


class Connection(asyncio.Protocol):
    """Carries a request and its answer at a time."""

    def __init__(self, lost: Callable[[Connection], None]) -> None:
        """Call ``lost`` when the connection has ended."""
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._pending: asyncio.Future[Answer] | None = None
        self._is_head = False
        self._bytes_max: int | None = None
        self._is_heard = False
        self._status = 0
        self._header_bytes = 0
        self._length = 0
        self._bytes_read = 0
        self._chunks: list[bytes] = []
        self._closes = False
        self._moved = True
        self._unsent_bytes = 0
        self._ticks_quiet = 0
        self.is_open = False

    @property
    def is_busy(self) -> bool:
        """Return whether a request waits for its answer."""
        return self._pending is not None

    def send(
        self, head: bytes, body: bytes, bytes_max: int | None, *, is_head: bool
    ) -> asyncio.Future[Answer]:
        """Send a request; ``bytes_max`` limits the content and is None where no content is wanted.

        The future raises BrokenExchange, or OversizedContent as soon as the content is known to be too large.
        """
        transport = self._transport
        assert transport is not None
        assert self._pending is None
        self._is_head, self._bytes_max = is_head, bytes_max
        self._is_heard, self._moved = False, True
        self._status = self._header_bytes = 0
        self._pending = pending = asyncio.get_running_loop().create_future()
        if body:
            transport.writelines((head, body))
        else:
            transport.write(head)
        return pending

    def tick(self) -> int:
        """Return for how many ticks no byte has moved in either direction."""
        unsent_bytes = self._transport.get_write_buffer_size() if self._transport is not None else 0
        is_quiet = not self._moved and unsent_bytes == self._unsent_bytes
        self._moved, self._unsent_bytes = False, unsent_bytes
        self._ticks_quiet = self._ticks_quiet + 1 if is_quiet else 0
        return self._ticks_quiet

    def fail(self, error: Exception) -> None:
        """End the connection at once; a request that waits raises the error."""
        self.abort()
        self._settle(error)

    def abort(self) -> None:
        """End the connection at once."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; the loop calls this."""
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """Read what has come; the loop calls this. Outside of an exchange nothing may come."""
        self._moved = True
        if self._pending is None:
            self.abort()
            return
        self._is_heard = True
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self.fail(BrokenExchange("the answer is not HTTP/1.1"))
        if not self._status:
            self._header_bytes += len(data)
            if self._header_bytes > _HEADER_BYTES_MAX:
                self.fail(BrokenExchange("the answer has a header without end"))
        if self._is_head and self._pending is None:
            # The parser cannot be told that an answer to HEAD has no body, so the next answer has a parser of its own.
            self._parser = HttpResponseParser(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (the loop's signature)
        """Note the end; the loop calls this. A refusal whose text is cut short is an answer all the same."""
        self.is_open = False
        if self._status and not self._wants_content():
            self._settle(Answer(self._status))
        elif self._is_heard:
            self._settle(BrokenExchange("the connection ended within the answer"))
        else:
            self._settle(StaleConnection("the connection ended before the answer"))
        self._lost(self)

    def on_message_begin(self) -> None:
        """Begin an answer; the parser calls this. Nobody asked for a second answer to a request."""
        if self._pending is None:
            self.abort()
        self._status = self._length = self._bytes_read = 0
        self._chunks = []
        self._closes = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note how long the content is and whether more will come after it; the parser calls this."""
        # Most headers are told apart by their length alone.
        if len(name) == 14 and name.lower() == b"content-length":
            self._length = int(value)
        elif len(name) == 10 and name.lower() == b"connection":
            self._closes = b"close" in value.lower()

    def on_headers_complete(self) -> None:
        """Decide what is done with the content; the parser calls this."""
        status = self._parser.get_status_code()
        if status < _OK:  # an interim answer, which says nothing
            return
        self._status = status
        if self._is_head:
            self._complete(may_stay=not self._closes and self._parser.get_http_version() == "1.1")
        elif self._wants_content() and self._length > cast("int", self._bytes_max):
            self._refuse_size()

    def on_body(self, chunk: bytes) -> None:
        """Keep content within the limit, and pass over the text of a refusal; the parser calls this."""
        self._bytes_read += len(chunk)
        if self._pending is None:
            self.abort()
        elif self._wants_content():
            self._chunks.append(chunk)
            if self._bytes_read > cast("int", self._bytes_max):
                self._refuse_size()
        elif self._bytes_read > _REFUSAL_BYTES_MAX:
            self._complete(may_stay=False)

    def on_message_complete(self) -> None:
        """Hand over the answer; the parser calls this."""
        if self._status and self._pending is not None:
            self._complete(may_stay=self._parser.should_keep_alive())

    def _wants_content(self) -> bool:
        return self._status == _OK and self._bytes_max is not None

    def _refuse_size(self) -> None:
        self.fail(OversizedContent("the object is larger than allowed"))

    def _complete(self, *, may_stay: bool) -> None:
        transport = self._transport
        # An answer before the whole request is sent is a refusal, and the rest of the request must not follow.
        if not may_stay or transport is None or transport.get_write_buffer_size():
            self.abort()
        chunks, self._chunks = self._chunks, []
        self._settle(Answer(self._status, chunks[0] if len(chunks) == 1 else b"".join(chunks)))

    def _settle(self, result: Answer | Exception) -> None:
        pending, self._pending = self._pending, None
        if pending is None or pending.done():
            return
        if isinstance(result, Exception):
            pending.set_exception(result)
        else:
            pending.set_result(result)
