"""Causes of CPU: each sampled stack belongs to the cause that its frames name, read from the innermost outwards."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

OTHER: Final = "event loop, other"
_FRAME: Final = re.compile(r"^(?P<function>.*) \((?P<path>.*?)(?::\d+)?\)$")


def _any_of(*places: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{place})" for place in places))


_CAUSES: Final = (
    (
        "pictures",
        _any_of(
            "PIL/",
            "cv2/",
            "winnow/pictures/",
            r"services/scorer/(?:vision|dimensions|engine|inference)/",
            r"services/delivery/clients/images\.py",
            r"services/router/clients/media\.py:.*_described",
        ),
    ),
    (
        "metrics",
        _any_of("prometheus_client/", r"services/\w+/(?:\w+/)?metrics\.py", r"winnow/runtime/metrics\.py"),
    ),
    (
        "object store",
        _any_of(
            r"winnow/adapters/(?:s3_\w+|object_store)\.py",
            "winnow/objectwire/",
            "botocore/",
            "boto3/",
            "s3transfer/",
        ),
    ),
    ("gRPC", _any_of("grpc/", "grpc_health/", "google/protobuf/", "winnow/rpc/", r"services/\w+/rpc\.py")),
    (
        "encoding, validation",
        _any_of(
            "pydantic/",
            "pydantic_core/",
            "std:json/",
            "winnow/contracts/",
            r"winnow/eventstore/codec\.py",
            r"winnow/adapters/records\.py",
        ),
    ),
    (
        "sending",
        _any_of(
            "aiokafka/producer/",
            r"winnow/adapters/sender\.py",
            r"faststream/.*publish",
            r"winnow/eventstore/outbox\.py",
        ),
    ),
    (
        "polling",
        _any_of(
            "aiokafka/consumer/",
            "aiokafka/coordinator/",
            "faststream/",
            r"winnow/adapters/(?:bus|subscriber|partitions|pacing)\.py",
        ),
    ),
    ("database driver", _any_of("pymongo/", "motor/", "bson/", r"winnow/adapters/(?:mongo|leases)\.py")),
    (
        "read model",
        _any_of(
            r"services/ingest/store/view\w*\.py",
            r"services/ledger/store/entries\.py",
            r"services/\w+/(?:\w+/)?projections?\w*\.py",
        ),
    ),
    ("deciding", _any_of(r"services/\w+/domain/", "winnow/templates")),
    ("journal commit", _any_of("winnow/eventstore/")),
    (
        "public API",
        _any_of(
            "fastapi/",
            "starlette/",
            "uvicorn/",
            "httptools/",
            "services/ingest/api/",
            r"winnow/runtime/listener\.py",
        ),
    ),
)
"""Causes that say what work is for; the first that a frame names holds for the frame."""
_GENERAL: Final = (
    ("polling", _any_of("aiokafka/")),
    ("HTTP client", _any_of("aiohttp/", "httpx/", "httpx_aiohttp/", "httpcore/", "winnow/egress/")),
    ("the services' own code", _any_of("services/", "winnow/")),
    (
        "threads, processes",
        _any_of("std:concurrent/", "std:threading", "std:multiprocessing/", "std:selectors"),
    ),
)
"""Causes of stacks that name none of the above: libraries that several of them use."""
_LOOP: Final = _any_of(r"std:asyncio/runners\.py", "uvloop/")
NAMES: Final = (*dict.fromkeys(name for name, _ in (*_CAUSES, *_GENERAL)), OTHER)


@dataclass(frozen=True, slots=True)
class Profile:
    """Samples of a process by cause, and by innermost function."""

    causes: Counter[str]
    functions: Counter[str]

    def share(self, cause: str) -> float:
        """Return the part of the samples that a cause has; none has any of an empty profile."""
        return self.causes[cause] / (self.causes.total() or 1)


def place_of(path: str, root: str) -> str:
    """Return a file's place: below the root, below its package's folder, or ``std:`` and below the standard library."""
    if "/site-packages/" in path:
        return path.rpartition("/site-packages/")[2]
    if path.startswith(f"{root}/"):
        return path.removeprefix(f"{root}/")
    if match := re.search(r"/lib/python3\.\d+/(.*)$", path):
        return f"std:{match[1]}"
    return path


def cause_of(places: Sequence[str]) -> str:
    """Return the cause of a stack of ``place:function``, the innermost last.

    What started the event loop is no cause of what runs in it.
    """
    inner = list(takewhile(lambda place: not _LOOP.match(place), reversed(places)))
    for rules in (_CAUSES, _GENERAL):
        for place in inner:
            for name, pattern in rules:
                if pattern.match(place):
                    return name
    return OTHER


def read_profile(lines: Iterable[str], root: str) -> Profile:
    """Read stacks in the form ``outer (file:line);inner (file:line) samples``."""
    profile = Profile(Counter(), Counter())
    for line in lines:
        stack, _, count = line.rstrip().rpartition(" ")
        if not count.isdigit():
            continue
        places = [_place(frame, root) for frame in stack.split(";")]
        profile.causes[cause_of(places)] += int(count)
        profile.functions[places[-1]] += int(count)
    return profile


def _place(frame: str, root: str) -> str:
    match = _FRAME.match(frame)
    return f"{place_of(match['path'], root)}:{match['function']}" if match else frame
