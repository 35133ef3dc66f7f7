"""Truth of the simulated providers about their pictures, beside what the line made of them."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.support.servers.line import PROVIDERS, Client, RunningLine


async def truth_of(line: RunningLine, client: Client, task_id: str) -> dict[str, dict[str, Any]]:
    """Return the simulators' record of each candidate that has a picture, by candidate id.

    A candidate is found by the sha256 of its bytes as they were stored. Raises AssertionError for a picture that no
    simulator made.
    """
    made: dict[str, dict[str, Any]] = {}
    for provider in PROVIDERS:
        made |= {picture["sha256"]: picture for picture in await line.ask(provider, "/_truth")}
    found: dict[str, dict[str, Any]] = {}
    for candidate in await client.candidates(task_id):
        if candidate["width"] is None:
            continue
        path = f"/v1/tasks/{task_id}/candidates/{candidate['candidate_id']}/preview"
        answer = await client.http.get(path)
        assert answer.status_code == 200, answer.text
        digest = hashlib.sha256(answer.content).hexdigest()
        assert digest in made, f"{candidate['candidate_id']} is no picture of a simulator"
        found[candidate["candidate_id"]] = made[digest]
    return found


def judged_defect(truth: dict[str, Any], candidate: dict[str, Any]) -> str | None:
    """Return the planted defect of a candidate when a required dimension of its verdict is made to find it."""
    required = {dimension["name"] for dimension in candidate["dimensions"] if dimension["required"]}
    return truth["defect"] if required & set(truth["dimensions"]) else None
