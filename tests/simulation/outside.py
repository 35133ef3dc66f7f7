"""Outside of the line: simulated object store, provider, picture measures and webhook receivers."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from services.delivery.domain.endpoints import WebhookAnswer, WebhookRequest
from services.delivery.domain.images import ContentDiffers, FinishedImage, Picture, is_intact
from services.delivery.domain.messages import AttemptReason
from services.router.clients.media import ImageFacts, TaskMedia
from services.router.domain.calls import (
    Accepted,
    CallRefused,
    CancelReply,
    CollectFailed,
    Finished,
    Generation,
    ImageRef,
    NotAnImage,
    PollReply,
    Running,
    SubmitReply,
    Unknown,
)
from services.router.domain.catalogue import Offering
from services.scorer.domain import Measured, Measurement
from services.scorer.domain.references import NO_REFERENCES, References
from tests.simulation.script import Kind
from tests.simulation.world import Process, SimulatedWorld
from winnow.contracts.errors import NotFound, Unavailable
from winnow.contracts.values import MeasureStatus, OutcomeClass, StoredObject

PRICE_USD_MICRO = 3000
GOOD = 80


def picture(attempt_id: str, index: int, quality: int) -> bytes:
    """Write a simulated picture: its quality stands in its bytes."""
    return f"simulated picture {attempt_id} {index} quality {quality:03d}".encode()


def quality_of(content: bytes) -> int | None:
    """Read the quality back; None for bytes that are no simulated picture."""
    head, _, tail = content.rpartition(b" quality ")
    return int(tail) if head.startswith(b"simulated picture") and tail.isdigit() else None


@dataclass
class Outside:
    """Outside that outlives every process, and the truth that only the simulation knows.

    What was really done and billed.
    """

    world: SimulatedWorld
    pass_percent: dict[str, int] = field(default_factory=dict)
    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)
    works: dict[str, Work] = field(default_factory=dict)
    submits: Counter[str] = field(default_factory=Counter)
    called: Callable[[str], None] = lambda _attempt_id: None
    """Told the attempt of each submit that reaches a provider."""
    received: list[tuple[str, str, bytes, bool]] = field(default_factory=list)
    """Webhook requests that reached a receiver: url, delivery id, body, whether it answered well."""


@dataclass(slots=True)
class Work:
    """A job at the provider; it is billed once it is taken and not stopped in time."""

    images: tuple[bytes, ...]
    price_usd_micro: int
    ready_at_s: float
    is_firm: bool = False
    """Begun at once: it cannot be stopped any more."""
    cancelled: bool = False

    @property
    def billed_usd_micro(self) -> int:
        return 0 if self.cancelled else self.price_usd_micro * len(self.images)


class SimulatedObjects:
    """The object store, seen from a process: both services' ports."""

    def __init__(self, process: Process, outside: Outside) -> None:
        self._process = process
        self._objects = outside.objects

    async def put(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        del content_type

        def effect() -> None:
            self._objects[bucket, key] = body

        await self._process.call("put", effect, _store_away)

    async def get(self, bucket: str, key: str, max_bytes: int = 10**9) -> bytes:
        del max_bytes

        def effect() -> bytes:
            if (bucket, key) not in self._objects:
                raise NotFound("there is no such object")
            return self._objects[bucket, key]

        return await self._process.call("get", effect, _store_away)

    async def delete(self, bucket: str, keys: list[str]) -> None:
        def effect() -> None:
            for key in keys:
                self._objects.pop((bucket, key), None)

        await self._process.call("delete", effect, _store_away)


def _store_away() -> Exception:
    return Unavailable("the simulated object store does not answer")


class SimulatedMedia(TaskMedia):
    """The router's media, which reads the simulated form in the place of a file's structure."""

    @staticmethod
    def _described(content: bytes) -> ImageFacts:
        if quality_of(content) is None:
            raise NotAnImage("not_decodable")
        return ImageFacts("image/png", "png", 512, 512, hashlib.sha256(content).hexdigest())


class SimulatedProvider:
    """One provider: ``async`` ones take work and are polled, the others answer with the pictures."""

    def __init__(self, process: Process, outside: Outside) -> None:
        self._process = process
        self._outside = outside

    async def submit(self, offering: Offering, generation: Generation) -> SubmitReply:
        kind, seconds = self._struck("submit")
        if kind is Kind.crash_before:
            self._process.kill()
        await self._process.pause(0.02, 0)
        self._outside.submits[generation.attempt_id] += 1
        self._outside.called(generation.attempt_id)
        if kind is Kind.fail:
            return CallRefused(OutcomeClass.never_delivered, "not_reachable")
        dice = self._dice(generation.attempt_id)
        if kind is None and dice.random() * 100 < self._process.world.script.refusals_percent:
            return dice.choice(_REFUSALS)
        work = self._take(dice, offering, generation, seconds)
        if kind is Kind.crash_after:
            self._process.kill()
        if kind is Kind.lose_reply:
            await self._process.pause(0.5, 0)
            return Unknown("read_timeout")
        if not offering.traits.cancel:
            await self._process.pause(0.01, max(0.0, work.ready_at_s - self._process.world.loop.time()))
            return self._finished(work, generation.attempt_id)
        await self._process.pause(0.01, 0)
        return Accepted(f"ref-{generation.attempt_id}", {"attempt": generation.attempt_id})

    def _take(self, dice: random.Random, offering: Offering, generation: Generation, slow_s: float) -> Work:
        percent = int(generation.prompt.rpartition(" ")[2])
        pictures = tuple(
            picture(generation.attempt_id, index, GOOD if dice.random() * 100 < percent else 20)
            for index in range(generation.count)
        )
        takes_s = dice.choice((0.05, 0.2, 0.6, 1.5)) + slow_s
        work = Work(
            pictures,
            offering.prices[0].price_usd_micro,
            self._process.world.loop.time() + takes_s,
            is_firm=dice.random() < 0.5,
        )
        self._outside.works[generation.attempt_id] = work
        return work

    async def poll(self, offering: Offering, handle: Mapping[str, str]) -> PollReply:
        del offering
        kind, seconds = self._struck("poll")
        if kind is Kind.crash_before:
            self._process.kill()
        await self._process.pause(0.01, seconds)
        if kind in {Kind.fail, Kind.lose_reply}:
            return Running()
        work = self._outside.works[handle["attempt"]]
        if work.cancelled:
            return CallRefused(OutcomeClass.rejected_without_work, "cancelled")
        if work.ready_at_s > self._process.world.loop.time():
            return Running()
        return self._finished(work, handle["attempt"])

    async def cancel(self, offering: Offering, handle: Mapping[str, str]) -> CancelReply:
        del offering
        await self._process.pause(0.01, 0)
        work = self._outside.works[handle["attempt"]]
        in_time = not work.is_firm and work.ready_at_s - self._process.world.loop.time() > 0.3
        work.cancelled = work.cancelled or in_time
        return CancelReply(stopped=work.cancelled, reason="cancelled" if work.cancelled else "too_late")

    async def collect(self, offering: Offering, image: ImageRef) -> bytes:
        del offering
        kind, seconds = self._struck("collect")
        await self._process.pause(0.01, seconds)
        if kind is Kind.fail:
            raise CollectFailed("link_broken", may_retry=True)
        attempt_id, _, place = (image.url or "").rpartition("/")
        content = self._outside.works[attempt_id].images[int(place)]
        if kind is Kind.crash_after:
            self._process.kill()
            await self._process.pause(0, 0)
        return content

    def _struck(self, call: str) -> tuple[Kind | None, float]:
        return self._process.world.struck(self._process.service, call)

    def _dice(self, attempt_id: str) -> random.Random:
        return random.Random(f"{self._process.world.script.seed} {attempt_id}")

    @staticmethod
    def _finished(work: Work, attempt_id: str) -> Finished:
        links = tuple(ImageRef(url=f"{attempt_id}/{place}") for place in range(len(work.images)))
        return Finished(links, work.billed_usd_micro, f"ref-{attempt_id}")


_REFUSALS = (
    CallRefused(OutcomeClass.rejected_without_work, "rate_limited", retry_after_s=1.0),
    CallRefused(OutcomeClass.rejected_without_work, "server_error"),
    CallRefused(OutcomeClass.never_delivered, "not_reachable"),
    CallRefused(OutcomeClass.rejected_without_work, "invalid_request", permanent=True),
)


class SimulatedMeasurer:
    """In the place of the measuring processes: reads the quality that stands in the simulated picture."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def measure(
        self, content: bytes, wanted: frozenset[str], given: References = NO_REFERENCES
    ) -> Measured:
        del given  # a simulated picture shows nobody
        await self._process.pause(self._process.world.script.measuring_s, 0)
        quality = quality_of(content)
        if quality is None:
            return Measured(
                tuple(Measurement(name, MeasureStatus.failure_to_assess) for name in sorted(wanted))
            )
        spread = hashlib.sha256(content).hexdigest()[:16]
        found = {
            "sharpness": Measurement("sharpness", MeasureStatus.ok, float(quality)),
            "near_duplicate": Measurement(
                "near_duplicate", MeasureStatus.ok, 1.0, {"perceptual_hash": spread}
            ),
        }
        return Measured(tuple(found[name] for name in sorted(wanted)), 512, 512)


class SimulatedImages:
    """In the place of delivery's finishing of pixels."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def finish(self, content: bytes, stored: StoredObject) -> FinishedImage:
        await self._process.pause(0.005, 0)
        if not is_intact(content, stored):
            raise ContentDiffers("the bytes are not what was stored")
        return FinishedImage(
            Picture.of(b"finished " + content, "image/png", width=512, height=512),
            Picture.of(b"thumbnail " + content, "image/webp", width=64, height=64),
        )


class SimulatedReceiver:
    """Sends webhooks to simulated receivers; a lost reply means that they have it all the same."""

    def __init__(self, process: Process, outside: Outside) -> None:
        self._process = process
        self._outside = outside

    async def check(self, url: str) -> None:
        del url

    async def send(self, request: WebhookRequest) -> WebhookAnswer:
        kind, seconds = self._process.world.struck(self._process.service, "webhook")
        if kind is Kind.crash_before:
            self._process.kill()
        await self._process.pause(0.02, seconds)
        if kind is Kind.fail:
            return WebhookAnswer(503, AttemptReason.throttled, retry_after_s=2)
        answered = kind is not Kind.lose_reply
        self._outside.received.append((request.url, request.delivery_id, request.body, answered))
        if kind is Kind.crash_after:
            self._process.kill()
            await self._process.pause(0, 0)
        await self._process.pause(0.005, 0)
        if not answered:
            return WebhookAnswer(0, AttemptReason.timed_out)
        return WebhookAnswer(200, AttemptReason.accepted)
