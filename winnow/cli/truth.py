"""Comparison of deliveries with what the simulated providers know of their own pictures."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import httpx


class Reader(Protocol):
    """The public API, as far as the comparison reads it; raises what the client raises."""

    async def get_bytes(self, path: str, /) -> bytes:
        """Return the body of a resource."""
        ...

    def pages(self, path: str, field: str, /) -> AsyncIterator[Any]:
        """Yield the items of a list, page after page."""
        ...


@dataclass(frozen=True, slots=True)
class Comparison:
    """``planted_count`` counts the candidates that a simulator spoilt; ``delivered_defects`` names those delivered.

    ``unknown_count`` counts delivered pictures that no simulator made.
    """

    candidates_count: int
    planted_count: int
    delivered_count: int
    unknown_count: int
    delivered_defects: tuple[str, ...]

    def broken(self) -> list[str]:
        """Return a sentence for each promise that was not kept."""
        sentences = [f"a delivered picture has a planted defect: {name}." for name in self.delivered_defects]
        if self.unknown_count:
            sentences.append(f"{self.unknown_count} delivered pictures are not the simulators' own.")
        return sentences

    def sentence(self) -> str:
        """Return what was compared, for people."""
        return (
            f"the simulators' own record: {self.planted_count} of {self.candidates_count} candidates have a planted"
            f" defect, {len(self.delivered_defects)} of {self.delivered_count} delivered ones"
        )


async def compare(
    api: Reader, simulator_urls: Iterable[str], task_id: str, delivered: Iterable[str]
) -> Comparison:
    """Compare a task's candidates with the simulators' record, found by the sha256 of their stored bytes.

    A defect counts when a required dimension of the verdict is made to find it; what a profile does not judge is none.
    """
    truth = await _truth(simulator_urls)
    wanted = set(delivered)
    made: dict[str, str | None] = {}
    unknown = set(wanted)
    path = f"/v1/tasks/{task_id}/candidates"
    async for candidate in api.pages(path, "candidates"):
        if candidate["width"] is None:
            continue
        name = candidate["candidate_id"]
        picture = await api.get_bytes(f"{path}/{name}/preview")
        known = truth.get(hashlib.sha256(picture).hexdigest())
        if known is not None:
            unknown.discard(name)
            made[name] = _judged_defect(known, candidate)
    spoilt = {name: defect for name, defect in made.items() if defect is not None}
    defects = tuple(sorted(spoilt[name] for name in wanted & set(spoilt)))
    return Comparison(len(made), len(spoilt), len(wanted), len(unknown), defects)


async def _truth(simulator_urls: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    async with httpx.AsyncClient(timeout=10.0, trust_env=False) as client:
        for url in simulator_urls:
            answer = await client.get(f"{url}/_truth")
            answer.raise_for_status()
            found |= {picture["sha256"]: picture for picture in answer.json()}
    return found


def _judged_defect(truth: Mapping[str, Any], candidate: Mapping[str, Any]) -> str | None:
    required = {dimension["name"] for dimension in candidate["dimensions"] if dimension["required"]}
    defect: str | None = truth["defect"]
    return defect if required & set(truth["dimensions"]) else None
