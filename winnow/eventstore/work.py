"""Work of a journal: the records of a partition, or an input of this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from winnow.adapters.partitions import Consumed, Source
from winnow.contracts.envelope import Message, RecordedMessage
from winnow.eventstore.model import Input, S
from winnow.eventstore.shard import UnitOfWork

R = TypeVar("R")


class NotOwner(Exception):  # noqa: N818 (the noun of the problem)
    """Another process owns the shard; what was to be decided is resumed there from its state."""


class ShardHeld(NotOwner):
    """This build cannot read the shard's journal; a newer build, or a later try, resumes it from its state."""

    def __init__(self, reason: str, held_for_s: float) -> None:
        """Note why, and for how long the shard waits."""
        super().__init__(reason)
        self.held_for_s = held_for_s


@dataclass(frozen=True, slots=True)
class Decided(Generic[S]):
    """Decision of a local input; a duplicate returns the recorded decision again."""

    state: S
    recorded: tuple[RecordedMessage[Message], ...]
    duplicate: bool


class PartitionResult(NamedTuple):
    """Progress of a partition's records; ``sent`` ends when the messages of their block are on the bus."""

    consumed: Consumed
    sent: asyncio.Future[None] | None = None


@dataclass(slots=True)
class _Awaited(Generic[R]):
    shard: str
    done: asyncio.Future[R] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future(), kw_only=True
    )

    def succeed(self, result: R) -> None:
        """Hand the result to the waiter, if it still waits."""
        if not self.done.done():
            self.done.set_result(result)

    def fail(self, error: Exception) -> None:
        """Raise an error at the waiter, if it still waits."""
        if not self.done.done():
            self.done.set_exception(error)


@dataclass(slots=True)
class PartitionWork(_Awaited[PartitionResult]):
    """Records of a partition, in order: the offset that they reach is part of their block."""

    source: Source
    records: Sequence[tuple[int, Input | None]]
    """Offsets with their inputs; None for a record that this service has no use for."""
    consumed: Consumed = field(default_factory=lambda: Consumed(0))

    @property
    def inputs(self) -> list[Input]:
        """Return what is to be decided."""
        return [input_ for _, input_ in self.records if input_ is not None]

    def decide(self, unit: UnitOfWork[Any]) -> None:
        """Decide up to the first record that raises."""
        source, first = self.source, self.records[0][0]
        expected = unit.offsets_before.get(source, first)
        if first > expected and unit.sought.get(source) != expected:
            unit.sought[source] = expected
            self.consumed = Consumed(expected, seek=True)
            return
        for offset, input_ in self.records:
            if offset < expected or input_ is None:
                continue
            try:
                unit.decide(input_)
            except Exception as error:  # noqa: BLE001 (counted and dead-lettered by the bus)
                unit.offsets[source] = offset
                self.consumed = Consumed(offset, failed=error)
                return
        unit.offsets[source] = max(expected, self.records[-1][0] + 1)
        self.consumed = Consumed(unit.offsets[source])

    def resolve(self, _unit: UnitOfWork[Any], sent: asyncio.Future[None] | None) -> None:
        """Notify the waiter, once the block is committed or was not needed."""
        self.succeed(PartitionResult(self.consumed, sent))

    def refuse(self, held: ShardHeld) -> None:
        """Notify the waiter of a held shard: its records are read again later."""
        self.succeed(PartitionResult(Consumed(self.records[0][0], held_for_s=held.held_for_s)))


@dataclass(slots=True)
class LocalWork(_Awaited[Decided[S]]):
    """An input of this process: a caller's, who waits for the decision, or a tick."""

    input: Input
    error: Exception | None = None
    is_duplicate: bool = False

    @property
    def inputs(self) -> list[Input]:
        """Return what is to be decided."""
        return [self.input]

    def decide(self, unit: UnitOfWork[S]) -> None:
        """Decide the input; what that raises is the caller's."""
        self.error = None
        try:
            self.is_duplicate = not unit.decide(self.input)
        except Exception as error:  # noqa: BLE001 (raised by submit)
            self.error = error

    def resolve(self, unit: UnitOfWork[S], _sent: asyncio.Future[None] | None) -> None:
        """Notify the waiter, once the block is committed or was not needed."""
        if self.error is not None:
            self.fail(self.error)
            return
        recorded = unit.recorded.get(self.input.input_id, ())
        self.succeed(Decided(unit.cached(self.input.aggregate_id).state, recorded, self.is_duplicate))

    def refuse(self, held: ShardHeld) -> None:
        """Notify the waiter of a held shard."""
        self.fail(held)


Work: TypeAlias = PartitionWork | LocalWork[S]


class FollowUp(NamedTuple):
    """An input that is decided in the block of the decision that it follows, or not at all."""

    input: Input
    settle: Callable[[], None]
    """Called once, after the listener, whether the block was committed or not."""


FollowUps: TypeAlias = Callable[[Mapping[str, S]], Sequence[FollowUp]]
"""Returns what changed states lead to at once; they are not committed yet."""
