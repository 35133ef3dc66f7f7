"""Body of a webhook: the end of a task in a small JSON body, the same bytes at every attempt."""

from __future__ import annotations

import json
from typing import Any, Final

from services.delivery.domain.task import TaskDelivery

OUTPUTS_MAX: Final = 100
"""Outputs named in a body: about 110 bytes each, so that a body stays under 20 kB (Standard Webhooks 1.0.0)."""


def webhook_payload(state: TaskDelivery) -> bytes:
    """Write the body: type, time of the end, and ids and counts; never links, never media.

    ``k`` is left out when the task ended before anything was selected. The task must have ended.
    """
    end = state.end
    if end is None:
        msg = "a webhook is about a task that has ended"
        raise ValueError(msg)
    content: dict[str, Any] = {
        "task_id": state.task_id,
        "state": end.type.removeprefix("task."),
        "delivered_count": len(state.outputs),
    }
    if state.selection is not None:
        content["k"] = state.selection.k
    if end.missing_count:
        content["missing_count"] = end.missing_count
    if end.code is not None:
        content["code"] = end.code.value
    if end.reason is not None:
        content["reason"] = end.reason[:200]
    if state.outputs:
        content["outputs"] = [
            {"output_id": output.output_id, "rank": output.rank, "score": round(output.score, 2)}
            for output in state.outputs[:OUTPUTS_MAX]
        ]
        content["outputs_truncated"] = len(state.outputs) > OUTPUTS_MAX
    body = {"type": end.type, "timestamp": end.at.isoformat(), "data": content}
    return json.dumps(body, separators=(",", ":"), sort_keys=True).encode()
