"""Calls to a provider and its replies: the words every adapter speaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from winnow.contracts.values import OutcomeClass, StoredObject


@dataclass(frozen=True, slots=True)
class Generation:
    """One call's request: ``count`` images of one prompt. ``seed`` is that of the first image."""

    attempt_id: str
    prompt: str
    negative_prompt: str | None
    count: int
    width: int
    height: int
    seed: int
    parameters: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An image the provider made: inline bytes, or a link to collect. A ``filtered`` image holds neither."""

    url: str | None = None
    content: bytes | None = None
    seed: int | None = None
    filtered: bool = False


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image in the private bucket; ``is_whole`` is false where its file ends before its picture does."""

    stored: StoredObject
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took the work; ``handle`` holds what polling needs (links of its reply)."""

    reference: str
    handle: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Running:
    """Not finished; ask again, not before ``retry_after_s`` when given."""

    queue_position: int | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The images are made. ``cost_usd_micro`` is the provider's own figure, when it gives one."""

    images: tuple[ImageRef, ...]
    cost_usd_micro: int | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class CallRefused:
    """No images, and it is known what that cost.

    ``outcome`` is ``never_delivered`` or ``rejected_without_work``. ``billed`` says that the provider may
    bill the call all the same. ``permanent`` says that this request will be refused there again, so another
    offering is needed.
    """

    outcome: OutcomeClass
    reason: str
    retry_after_s: float | None = None
    billed: bool = False
    permanent: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """It cannot be said whether the provider did the work: it counts as spent."""

    reason: str


@dataclass(frozen=True, slots=True)
class CancelReply:
    """Result of a cancel: ``stopped`` before work (nothing billed), or too late."""

    stopped: bool
    reason: str


SubmitReply: TypeAlias = Accepted | Finished | CallRefused | Unknown
PollReply: TypeAlias = Running | Finished | CallRefused | Unknown


class CollectFailed(Exception):  # noqa: N818 (the noun of the problem)
    """An image could not be fetched; ``may_retry`` says whether asking again makes sense."""

    def __init__(self, reason: str, *, may_retry: bool) -> None:
        """Keep a stable reason code."""
        super().__init__(reason)
        self.reason = reason
        self.may_retry = may_retry


class NotAnImage(ValueError):  # noqa: N818 (the noun of the problem)
    """The bytes are no still picture of a supported format, by their header and structure."""
