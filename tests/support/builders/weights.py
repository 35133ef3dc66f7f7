"""A type of three versions, for tests of what reads older and newer ones."""

from __future__ import annotations

import json
from typing import Any, Literal

from winnow.contracts.envelope import Event
from winnow.contracts.upcast import MessageRegistry, Upcaster

ENVELOPE = {
    "event_id": "evt_00000000-0000-5000-8000-000000000001",
    "occurred_at": "2026-01-02T03:04:05Z",
    "producer": "test",
    "subject": "a",
    "sequence": 1,
    "correlation_id": "c",
    "causation_id": "d",
}


class Weighed(Event):
    """Version 3 of a weight: grams in version 1, then milligrams, then with its scale."""

    type: Literal["test.weighed"] = "test.weighed"
    version: Literal[3] = 3
    weight_mg: int
    scale: str


def to_milligrams(document: dict[str, Any]) -> dict[str, Any]:
    document["weight_mg"] = document.pop("weight_g") * 1000
    return document


def with_scale(document: dict[str, Any]) -> dict[str, Any]:
    return document | {"scale": "unknown"}


STEPS = (Upcaster("test.weighed", 1, to_milligrams), Upcaster("test.weighed", 2, with_scale))
WEIGHED = MessageRegistry([Weighed], STEPS)


def text(version: object, **fields: Any) -> str:
    stated = {} if version is None else {"version": version}
    return json.dumps(ENVELOPE | {"type": "test.weighed"} | stated | fields)
