"""The form of a message: flat JSON of envelope and payload, key = aggregate id, type in a header."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Annotated, Any, ClassVar, Final, Generic, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict

from winnow.contracts.ids import CommandId, EventId

CONTENT_TYPE: Final = "application/json"


def _aware_utc(value: datetime) -> datetime:
    offset = value.utcoffset()
    if offset is None or offset.total_seconds() != 0:
        msg = "a time is aware and in UTC"
        raise ValueError(msg)
    return value


Instant = Annotated[datetime, AfterValidator(_aware_utc)]
"""An aware UTC time; ISO 8601 on the wire."""


class Value(BaseModel):
    """A frozen value; readers ignore fields they do not know, and errors never quote the input."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Message(Value):
    """The payload of an event or a command. Subclasses fix ``type`` and ``version`` by literals."""

    type: str
    version: int

    is_command: ClassVar[bool] = False

    @classmethod
    def type_name(cls) -> str:
        """Return the wire name of this message type, for example ``task.accepted``."""
        return str(cls.model_fields["type"].default)

    def body(self) -> dict[str, Any]:
        """Return the payload as JSON-ready values."""
        return self.model_dump(mode="json")


class Event(Message):
    """A fact that became true; past tense."""


class Command(Message):
    """A request to one recipient; imperative. ``command_id`` is its idempotency key."""

    is_command: ClassVar[bool] = True
    command_id: CommandId


class Envelope(Value):
    """Envelope of an event: producer, time, cause, and place in the producer's history of the aggregate.

    ``sequence`` counts the events that ``producer`` published about ``subject``, from 1 without gaps;
    a command carries 0. ``correlation_id`` names the request, ``causation_id`` the message that caused
    this one, ``traceparent`` the W3C trace context.
    """

    event_id: EventId
    occurred_at: Instant
    producer: str
    subject: str
    sequence: int
    correlation_id: str
    causation_id: str
    traceparent: str | None = None


@cache
def _shared_with(model: type[Message]) -> set[str] | None:
    """Name the envelope's fields that a message has too; in the flat form the message's win."""
    return set(Envelope.model_fields) & set(model.model_fields) or None


M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class RecordedMessage(Generic[M]):
    """A message with its envelope."""

    envelope: Envelope
    message: M

    def to_document(self) -> dict[str, Any]:
        """Return the flat JSON-ready form."""
        return self.envelope.model_dump(mode="json") | self.message.body()

    @classmethod
    def from_document(cls, document: dict[str, Any], model: type[M]) -> Self:
        """Read the flat form; raises pydantic's ValidationError when it does not fit ``model``."""
        return cls(Envelope.model_validate(document), model.model_validate(document))

    def text(self) -> str:
        """Return the JSON text of the flat form."""
        envelope = self.envelope.model_dump_json(exclude=_shared_with(type(self.message)))
        return f"{envelope[:-1]},{self.message.model_dump_json()[1:]}"

    @classmethod
    def from_text(cls, text: bytes | str, model: type[M]) -> Self:
        """Read JSON text; raises pydantic's ValidationError when it is not JSON or does not fit ``model``."""
        return cls(Envelope.model_validate_json(text), model.model_validate_json(text))

    def encode(self) -> bytes:
        """Return the bytes that are sent on the bus."""
        return self.text().encode()
