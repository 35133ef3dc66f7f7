"""The errors of Kafka's driver, in the project's words; no other module reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    UnknownProducerId,
)

from winnow.contracts.errors import Unavailable

_LOST_COUNT: Final = (OutOfOrderSequenceNumber, UnknownProducerId, ProducerFenced, InvalidProducerEpoch)


@contextmanager
def kafka_answering(detail: str = "Kafka does not answer") -> Iterator[None]:
    """Turn the driver's errors into Unavailable; ``{error}`` in the detail stands for the name of the error."""
    try:
        yield
    except KafkaError as error:
        raise Unavailable(detail.format(error=type(error).__name__)) from error


def has_lost_count(error: BaseException | None) -> bool:
    """Return whether the broker refuses an idempotent producer for good, one of whose messages was given up."""
    return isinstance(error, _LOST_COUNT)
