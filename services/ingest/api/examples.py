"""One order from its key to its bill as the examples of every operation; ids come from the answers that links name."""

from __future__ import annotations

from typing import Any, Final

_ACCOUNT: Final = "acct_example"
_TASK: Final = "task_00000000-0000-5000-8000-000000000000"

PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "*": {
        "account_id": _ACCOUNT,
        "task_id": _TASK,
        "candidate_id": "cand_00000000-0000-5000-8000-000000000000",
        "endpoint_id": "whe_00000000-0000-7000-8000-000000000000",
        "delivery_id": "dlv_00000000-0000-5000-8000-000000000000",
        "key_id": "0a1B2c3D",
        "refund_id": "cmd_00000000-0000-5000-8000-000000000000",
        "limit": 20,
        "expires_in_s": 300,
        "capability": "image.generate",
    },
    "list_tasks": {"state": "delivered"},
    "list_candidates": {"state": "delivered"},
    "stream_events": {"after": 0},
    "place_task": {"Idempotency-Key": "example-order-1"},
    "grant_credits": {"Idempotency-Key": "example-grant-1"},
    "refund_task": {"Idempotency-Key": "example-refund-1"},
}
"""Values by operation and parameter; ``*`` for every operation. The ids have the right form and name nothing."""

BODIES: Final[dict[str, dict[str, Any]]] = {
    "create_key": {
        "application/json": {
            "account_id": _ACCOUNT,
            "scopes": ["tasks:write", "tasks:read", "account:read", "webhooks:write", "operator"],
            "label": "example",
            "expires_at": "2099-12-31T00:00:00Z",
        }
    },
    "set_account_settings": {"application/json": {"priority_max": 7}},
    "grant_credits": {
        "application/json": {"amount_credits_micro": 100_000_000, "source": "topup", "expires_at": None}
    },
    "quote": {"application/json": {"template": "studio_headshot", "mode": "low_cost", "k": 2}},
    "place_task": {
        "application/json": {
            "template": "studio_headshot",
            "mode": "low_cost",
            "k": 2,
            "prompt": "studio headshot of a friendly engineer, soft even light",
            "label": "example order",
        }
    },
    "add_input": {
        "multipart/form-data": {"file": "photograph.jpg", "profile": "headshot"},
        "application/json": {"url": "https://example.com/photograph.jpg"},
    },
    "register_endpoint": {
        "application/json": {"url": "https://example.com/winnow", "event_types": ["task.delivered"]}
    },
    "refund_task": {"application/json": {"amount_credits_micro": 1, "reason": "one picture had a flaw"}},
}
"""Bodies by operation and media type. ``file`` stands for a file of yours; ``url`` for an address of yours."""

LINKS: Final[dict[str, dict[str, tuple[tuple[str, str, str], ...]]]] = {
    "create_key": {"201": (("revoke_key", "key_id", "/key_id"),)},
    "list_keys": {"200": (("revoke_key", "key_id", "/keys/0/key_id"),)},
    "place_task": {
        "202": (
            ("get_task", "task_id", "/id"),
            ("stream_events", "task_id", "/id"),
            ("list_candidates", "task_id", "/id"),
            ("list_outputs", "task_id", "/id"),
            ("get_bill", "task_id", "/id"),
            ("cancel_task", "task_id", "/id"),
            ("refund_task", "task_id", "/id"),
            ("preview_candidate", "task_id", "/id"),
            ("list_deliveries", "task_id", "/id"),
        )
    },
    "refund_task": {
        "202": (("read_refund", "task_id", "/task_id"), ("read_refund", "refund_id", "/refund_id")),
    },
    "list_candidates": {"200": (("preview_candidate", "candidate_id", "/candidates/0/candidate_id"),)},
    "register_endpoint": {"201": (("delete_endpoint", "endpoint_id", "/endpoint_id"),)},
    "list_deliveries": {"200": (("redeliver", "delivery_id", "/deliveries/0/delivery_id"),)},
}
"""By operation and status: the operation that may follow, its parameter, and where in the answer its value stands."""
