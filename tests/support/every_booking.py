"""Commands that leave every private event of the ledger in its journal."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from tests.support.builders.task_ids import COST, NO_COST, ReservationIds
from tests.support.eventually import eventually
from tests.support.recorder import Recorder
from tests.support.servers.line import CREDIT, RunningLine
from winnow.contracts.commands import GrantCredits, ReleaseCredits, ReserveCredits, SettleCredits
from winnow.contracts.envelope import Message
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.topics import ACCOUNTS


async def book_everything(line: RunningLine, recorder: Recorder) -> None:
    """Grants and reservations that run out of time, and commands that come after the end."""
    account_id = "acct_recorder-books"
    soon = datetime.now(UTC) + timedelta(seconds=4)

    def command_id(name: str) -> str:
        return derive_id(Prefix.command, "recorder", name)

    def grant(name: str, expires_at: datetime | None) -> Message:
        return GrantCredits(
            command_id=command_id(f"grant-{name}"),
            account_id=account_id,
            grant_id=derive_id(Prefix.grant, "recorder", name),
            amount_credits_micro=5 * CREDIT,
            source="promo",
            expires_at=expires_at,
        )

    def names(name: str) -> ReservationIds:
        return ReservationIds(
            account_id=account_id,
            task_id=derive_id(Prefix.task, "recorder", "books", name),
            reservation_id=derive_id(Prefix.reservation, "recorder", "books", name),
        )

    def reserve(name: str, amount: int, expires_at: datetime) -> Message:
        return ReserveCredits(
            command_id=command_id(f"reserve-{name}"),
            amount_credits_micro=amount,
            price_per_output_credits_micro=CREDIT,
            expires_at=expires_at,
            **names(name),
        )

    def settle(name: str, amount: int, attempt: int = 1) -> Message:
        return SettleCredits(
            command_id=command_id(f"settle-{name}-{attempt}"),
            amount_credits_micro=amount,
            delivered_count=amount // CREDIT,
            cost=COST,
            reason="delivered",
            **names(name),
        )

    later = soon + timedelta(hours=1)
    await recorder.write(
        grant("soon", soon),
        grant("lasting", None),
        reserve("released-late", 2 * CREDIT, later),
        reserve("runs-out", 2 * CREDIT, soon),
        reserve("too-much", 50 * CREDIT, later),
    )
    await eventually(lambda: datetime.now(UTC) > soon + timedelta(seconds=3), within_s=60)
    await recorder.write(
        ReleaseCredits(
            command_id=command_id("release"), cost=NO_COST, reason="cancelled", **names("released-late")
        ),
        settle("runs-out", CREDIT),
        settle("runs-out", CREDIT, attempt=2),
        settle("released-late", CREDIT),
        grant("last", None),
    )

    async def booked() -> bool:
        wanted = derive_id(Prefix.grant, "recorder", "last")
        try:
            await recorder.find(
                "entry.recorded", lambda event: wanted in json.dumps(event), topic=ACCOUNTS.name
            )
        except LookupError:
            return False
        return True

    await eventually(booked, within_s=90, every_s=1.0)
