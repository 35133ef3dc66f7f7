"""Parts that messages of many tests are built of."""

from __future__ import annotations

from typing import TypedDict

from winnow.contracts.values import ProviderCost


class TaskIds(TypedDict):
    """The fields that name a task in its events."""

    task_id: str
    account_id: str


class ReservationIds(TaskIds):
    """The fields that name a task's reservation in the ledger's commands and events."""

    reservation_id: str


NO_COST = ProviderCost(expected_usd_micro=0, actual_usd_micro=0, attempts_count=0)
COST = ProviderCost(expected_usd_micro=32_000, actual_usd_micro=32_000, attempts_count=1)
