"""Ports: the outside as the router's use cases need it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from services.router.domain.calls import (
    CancelReply,
    Generation,
    ImageRef,
    PollReply,
    StoredImage,
    SubmitReply,
)
from services.router.domain.catalogue import Offering
from services.router.domain.messages import RunMessage
from services.router.domain.run import Run
from winnow.contracts.envelope import Message, RecordedMessage
from winnow.contracts.events import AttemptFinished
from winnow.contracts.values import StoredObject


class Provider(Protocol):
    """One provider's API. No method raises for what a provider may do: replies say it.

    Each method makes one call; it has a time limit of its own, and the caller adds a total deadline.
    """

    async def submit(self, offering: Offering, generation: Generation) -> SubmitReply:
        """Send the work, once. ``Unknown`` when it may have been taken without an answer."""
        ...

    async def poll(self, offering: Offering, handle: Mapping[str, str]) -> PollReply:
        """Ask how accepted work stands; safe to repeat."""
        ...

    async def cancel(self, offering: Offering, handle: Mapping[str, str]) -> CancelReply:
        """Ask to stop; says whether it was in time to cost nothing."""
        ...

    async def collect(self, offering: Offering, image: ImageRef) -> bytes:
        """Fetch an image's bytes; safe to repeat. Raises CollectFailed."""
        ...


class Media(Protocol):
    """The private files of tasks."""

    async def read_request(self, stored: StoredObject) -> Mapping[str, object]:
        """Read a task's request; raises NotFound, Unavailable, ValueError."""
        ...

    async def store_candidate(
        self, *, account_id: str, task_id: str, candidate_id: str, content: bytes
    ) -> StoredImage:
        """Check what the bytes' structure says and store them; raises NotAnImage, Unavailable."""
        ...


class RunAggregates(Protocol):
    """The journal of task runs."""

    async def submit(
        self, run: Run, input_id: str, message: RunMessage
    ) -> tuple[RecordedMessage[Message], ...] | None:
        """Decide a message and wait for the commit; None when another replica owns the run."""
        ...


class Meter(Protocol):
    """Report of figures and faults."""

    def attempt_finished(self, event: AttemptFinished) -> None:
        """Count an attempt."""
        ...

    def attempt_crashed(self, attempt_id: str, error: Exception) -> None:
        """Report a fault of this program in an attempt."""
        ...
