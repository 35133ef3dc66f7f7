"""Grants of credits, repeated under one key until the ledger has booked them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from winnow.cli.client import Api
from winnow.cli.errors import CliError

_TRIES_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class Grant:
    """Credits for an account; ``expires_at`` None for credits that stay."""

    account_id: str
    amount_credits_micro: int
    source: str
    expires_at: datetime | None = None

    def body(self) -> dict[str, Any]:
        """Return the request."""
        body: dict[str, Any] = {"amount_credits_micro": self.amount_credits_micro, "source": self.source}
        return body | ({"expires_at": self.expires_at.isoformat()} if self.expires_at else {})


async def grant_credits(admin: Api, grant: Grant, idempotency_key: str) -> dict[str, Any]:
    """Grant and wait until the ledger holds it; raises CliError when it does not.

    The same idempotency key is the same grant: a repeat only waits for the ledger once more.
    """
    path = f"/v1/admin/accounts/{grant.account_id}/grants"
    for _ in range(_TRIES_MAX):
        answer: dict[str, Any] = await admin.post(path, grant.body(), idempotency_key)
        if answer["applied"]:
            return answer
    raise CliError(
        f"The grant to {grant.account_id} is accepted, but the ledger has not booked it yet.",
        hint="Look at `winnow status` and `winnow logs ledger`.",
    )
