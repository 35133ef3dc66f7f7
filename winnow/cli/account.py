"""`winnow account` and `winnow grant`: an account's balance, and credits for it."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from winnow.cli.documents import show_document
from winnow.cli.errors import command
from winnow.cli.options import DATA_DIR, AdminToken, ApiKey, ApiUrl, DataDir, Json

if TYPE_CHECKING:
    from winnow.cli.answers import Entry


class CreditSource(StrEnum):
    """Source of granted credits."""

    plan = "plan"
    topup = "topup"
    promo = "promo"
    rollover = "rollover"


@command
async def account(
    *,
    entries: Annotated[
        int, typer.Option(min=0, max=100, help="Show this many of the newest ledger entries as well.")
    ] = 0,
    api_url: ApiUrl = "",
    api_key: ApiKey = "",
    data_dir: DataDir = DATA_DIR,
    as_json: Json = False,
) -> None:
    """Show the balance of your account, its grants, and its newest ledger entries when asked."""
    from winnow.cli.connection import connected

    async with connected(api_url, api_key, data_dir) as api:
        document = await api.get("/v1/account")
        if entries:
            document["entries"] = (await api.get("/v1/account/entries", limit=entries))["entries"]
    show_document(document, _print, as_json=as_json)


@command
async def grant(  # noqa: PLR0913 (each is an option of the command)
    account_id: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account, like acct_example.")],
    amount: Annotated[str, typer.Argument(help="Credits, like 100 or 0.25.")],
    *,
    source: Annotated[CreditSource, typer.Option(help="Where the credits come from.")] = CreditSource.topup,
    expires: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="When they expire, in UTC."),
    ] = None,
    idempotency_key: Annotated[str, typer.Option(help="The same key is one grant; made up when empty.")] = "",
    api_url: ApiUrl = "",
    admin_token: AdminToken = "",
    data_dir: DataDir = DATA_DIR,
    as_json: Json = False,
) -> None:
    """Grant credits to an account, and wait until the ledger has booked them."""
    import secrets

    from winnow.cli.amounts import micro_of
    from winnow.cli.connection import administering
    from winnow.cli.grants import Grant, grant_credits

    expires_at = expires.replace(tzinfo=UTC) if expires else None
    wanted = Grant(account_id, micro_of(amount, "credits"), source.value, expires_at)
    async with administering(api_url, admin_token, data_dir) as api:
        answer = await grant_credits(api, wanted, idempotency_key or secrets.token_hex(16))
    until = f", until {expires_at:%Y-%m-%d %H:%M} UTC" if expires_at else ""
    sentence = f"Granted {amount} credits to {account_id}{until}."
    show_document(answer, lambda _: typer.echo(sentence), as_json=as_json)


def _print(document: dict[str, Any]) -> None:
    from rich.table import Table

    from winnow.cli.answers import Account, Entry
    from winnow.cli.console import out, print_list
    from winnow.cli.live import amount, credits_

    balance = Account.model_validate(document)
    table = Table.grid(padding=(0, 2))
    for name, credits_micro in (
        ("available", balance.available_credits_micro),
        ("held", balance.held_credits_micro),
        ("spent", balance.settled_credits_micro),
    ):
        table.add_row(f"  {name}", credits_(credits_micro))
    out.print(balance.account_id, markup=False)
    out.print(table)
    if balance.grants:
        rows = [
            (
                grant.grant_id,
                grant.source,
                amount(grant.left_credits_micro),
                amount(grant.granted_credits_micro),
                f"{grant.expires_at:%Y-%m-%d %H:%M}" if grant.expires_at else "never",
            )
            for grant in balance.grants
        ]
        print_list(("grant", "source", "left", "of", "expires"), rows, title="Grants")
    if "entries" in document:
        print_list(
            ("at", "entry", "amount", "available", "held", "task"),
            [_row(Entry.model_validate(entry)) for entry in document["entries"]],
            title="Entries",
        )


def _row(entry: Entry) -> tuple[str, ...]:
    from winnow.cli.live import amount

    amounts = (entry.amount_credits_micro, entry.available_credits_micro, entry.held_credits_micro)
    at = f"{entry.occurred_at:%Y-%m-%d %H:%M:%S}"
    return (at, entry.kind, *map(amount, amounts), entry.task_id or "")
