"""Faults outside the line: what providers answer, and what receivers of webhooks do."""

from __future__ import annotations

import asyncio
import gzip
import io
from collections.abc import Callable, Sequence
from functools import partial

from PIL import Image

from tests.chaos import front
from tests.chaos.scenario import Scenario
from tests.chaos.world import ChaosWorld
from tests.support.servers.line import PROVIDERS


async def _clear(world: ChaosWorld) -> None:
    await world.clear()


async def _set_controls(controls: dict[str, object], providers: Sequence[str], world: ChaosWorld) -> None:
    for provider in providers:
        await world.control(provider, **controls)


async def _spoil(spoil: front.Spoil, providers: Sequence[str], world: ChaosWorld) -> None:
    for provider in providers:
        world.fronts[provider].spoil = spoil
    await asyncio.sleep(8.0)


def _bomb() -> bytes:
    """Make a picture of 14,000 x 14,000 pixels in some 24 KB."""
    out = io.BytesIO()
    Image.new("1", (14_000, 14_000)).save(out, "PNG", optimize=True)
    return out.getvalue()


def _gzip_bomb() -> bytes:
    """Make 200 MB of zeros in some 200 KB."""
    return gzip.compress(bytes(200_000_000), compresslevel=9)


def _many_frames(form: str) -> bytes:
    """Make a small picture of 3,000 frames."""
    frames = [Image.new("L", (16, 16), number % 256) for number in range(3_000)]
    out = io.BytesIO()
    frames[0].save(out, form, save_all=True, append_images=frames[1:], duration=20)
    return out.getvalue()


_SVG = b"""<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<svg xmlns="http://www.w3.org/2000/svg" width="1024" height="1024"><text>&b;</text></svg>"""


def _resets(_: front.Answer) -> front.Answer:
    raise ConnectionResetError


def controlled(name: str, matrix: str, providers: Sequence[str] = PROVIDERS, **controls: object) -> Scenario:
    """Set a simulator's controls before the load."""
    return Scenario(
        name, matrix, arm=partial(_set_controls, controls, providers), recover=_clear, all_delivered=False
    )


def spoilt(
    name: str,
    matrix: str,
    spoil: front.Spoil = front.untouched,
    *,
    made: Callable[[], front.Spoil] | None = None,
    providers: Sequence[str] = ("fal", "replicate"),
    all_delivered: bool = False,
) -> Scenario:
    """Spoil two providers' answers for 8 s under load; the third stays whole. ``made`` makes what is large."""

    async def inject(world: ChaosWorld) -> None:
        await _spoil(await asyncio.to_thread(made) if made else spoil, providers, world)

    return Scenario(name, matrix, inject=inject, recover=_clear, all_delivered=all_delivered)


PROVIDER = (
    controlled("provider: hangs", "11", hang_next=4),
    spoilt("provider: drips a byte each 0.5 s", "11", front.on_answers(front.dripping)),
    controlled("provider: 503", "12", error_next=6),
    controlled("provider: 429 with Retry-After", "12", too_many_next=6),
    controlled("provider: 429 without Retry-After", "12", too_many_next=6, retry_after_form="none"),
    controlled("provider: takes the order, loses the answer", "12", lost_reply_next=3),
    controlled("provider: outage of two", "12", providers=("fal", "replicate"), outage=True),
    spoilt("provider: resets every connection", "12", front.on_answers(_resets)),
    spoilt("provider: half a JSON", "13", front.on_answers(front.halved)),
    spoilt("provider: JSON of another shape", "13", front.on_answers(front.with_body(b'[{"id": 7}, null]'))),
    spoilt(
        "provider: an error in a 200", "13", front.on_answers(front.with_body(b'{"error": {"code": 500}}'))
    ),
    spoilt("provider: half a picture", "14", front.on_files(front.halved)),
    spoilt("provider: fewer bytes than promised", "14", front.on_files(front.short)),
    spoilt("provider: an empty picture", "14", front.on_files(front.with_body(b""))),
    spoilt("provider: HTML as a picture", "14", front.on_files(front.with_body(b"<html>sorry</html>"))),
    spoilt("provider: a pixel bomb", "15", made=lambda: front.on_files(front.with_body(_bomb()))),
    spoilt(
        "provider: a gzip bomb as an answer",
        "15",
        made=lambda: front.on_answers(front.encoded("gzip", _gzip_bomb())),
    ),
    spoilt(
        "provider: a gzip bomb as a picture",
        "15",
        made=lambda: front.on_files(front.encoded("gzip", _gzip_bomb())),
    ),
    spoilt(
        "provider: a GIF of 3,000 frames",
        "15",
        made=lambda: front.on_files(front.with_body(_many_frames("GIF"))),
    ),
    spoilt(
        "provider: a WebP of 3,000 frames",
        "15",
        made=lambda: front.on_files(front.with_body(_many_frames("WEBP"))),
    ),
    spoilt("provider: an SVG with entities as a picture", "15", front.on_files(front.with_body(_SVG))),
    spoilt(
        "provider: 60 MB as a picture", "15", made=lambda: front.on_files(front.with_body(bytes(60_000_000)))
    ),
)
# Nothing of a task depends on its receiver: everything is to be delivered, and the webhooks later or never.
RECEIVER = (
    controlled("receiver: 500", "24", providers=("receiver",), fail_next=4, fail_status=500),
    controlled("receiver: 429 with Retry-After", "24", providers=("receiver",), fail_next=3, fail_status=429, retry_after_s=1),
    controlled("receiver: hangs", "24", providers=("receiver",), hang_next=3),
    controlled("receiver: redirects", "24", providers=("receiver",), redirect_next=3),
    controlled("receiver: drops the connection", "24", providers=("receiver",), drop_next=4),
    controlled("receiver: 410, gone", "24", providers=("receiver",), fail_next=1, fail_status=410),
    spoilt("receiver: drips a byte each 0.5 s", "24", front.dripping_always, providers=("receiver",), all_delivered=True),
    spoilt("receiver: answers with 100 MB", "24", made=lambda: front.large(100_000_000), providers=("receiver",), all_delivered=True),
)  # fmt: skip
