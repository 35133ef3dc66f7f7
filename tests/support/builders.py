"""Parts that messages of many tests are built of."""

from __future__ import annotations

from typing import TypedDict


class TaskIds(TypedDict):
    """The fields that name a task in its events."""

    task_id: str
    account_id: str


class ReservationIds(TaskIds):
    """The fields that name a task's reservation in the ledger's commands and events."""

    reservation_id: str
