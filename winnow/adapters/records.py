"""Records of the bus: each is decoded by itself, and what cannot be handled goes to a dead-letter topic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from winnow.adapters.sender import Sender
from winnow.contracts.envelope import Message, RecordedMessage
from winnow.contracts.topics import dead_letter_topic
from winnow.contracts.upcast import MessageRegistry, UnknownVersion, announced_version
from winnow.runtime import metrics
from winnow.runtime.log import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ConsumedRecord:
    """A record of a partition; ``recorded`` is None for one that this service has no use for."""

    offset: int
    recorded: RecordedMessage[Message] | None
    body: bytes


class RecordReader:
    """Decodes the records that a group reads."""

    def __init__(self, group: str, messages: MessageRegistry, sender: Sender) -> None:
        """Read the types and versions that ``messages`` knows; all others are skipped."""
        self._group = group
        self._messages = messages
        self._sender = sender
        self._newer: set[tuple[str, int]] = set()

    async def read(self, record: Any) -> ConsumedRecord:
        """Decode a record; one that cannot be read is dead-lettered."""
        headers = dict(record.headers)
        kind = headers.get("type", b"").decode()
        body, recorded = record.value or b"", None
        if self._messages.newest(kind):
            try:
                recorded = self._messages.read(kind, body, announced_version(headers))
            except UnknownVersion as newer:
                self._skip(record, newer)
            except ValueError as error:
                await self.dead_letter(record, "poison", type(error).__name__)
        return ConsumedRecord(record.offset, recorded, body)

    def _skip(self, record: Any, newer: UnknownVersion) -> None:
        """Count a record of a newer version than this build knows; the log names each version once."""
        metrics.BUS_NEWER.labels(record.topic, newer.type_name).inc()
        seen = (newer.type_name, newer.version)
        if seen in self._newer:
            return
        self._newer.add(seen)
        version = {"type": newer.type_name, "version": newer.version, "known": newer.newest}
        _log.warning("bus.record.newer_version_skipped", **place_of(record), **version)

    async def dead_letter(self, record: Any, reason: str, error: str) -> None:
        """Copy a record to the dead-letter topic with where it came from; never its text in a header."""
        metrics.BUS_DEAD_LETTERS.labels(record.topic, reason).inc()
        headers = {name: value.decode(errors="replace") for name, value in record.headers}
        headers |= {
            "dlq-topic": record.topic,
            "dlq-partition": str(record.partition),
            "dlq-offset": str(record.offset),
            "dlq-reason": reason,
            "dlq-error": error,
        }
        topic, body = dead_letter_topic(record.topic, self._group), record.value or b""
        sent = await self._sender.send(topic, record.partition, record.key, body, headers)
        await sent
        _log.error("bus.record.dead_lettered", **place_of(record), reason=reason, error=error)


def place_of(record: Any) -> dict[str, Any]:
    """Return where a record lies, for a line of the log."""
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}
