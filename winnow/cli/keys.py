"""`winnow keys`: API keys, made and revoked through the administrators' routes."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from winnow.cli.documents import checked_id, show_document
from winnow.cli.errors import command
from winnow.cli.lazy import group
from winnow.cli.options import DATA_DIR, AdminToken, ApiUrl, DataDir, Json

app = group("API keys: create, list, revoke.")
SCOPES: Final = ("tasks:write", "tasks:read", "account:read", "webhooks:write")
"""The scopes of a key unless others are named."""


@app.command("create")
@command
async def create(
    account: Annotated[str, typer.Argument(help="The account, like acct_example.")],
    *,
    scope: Annotated[
        list[str] | None, typer.Option(help=f"What it may do, repeatable; without it {', '.join(SCOPES)}.")
    ] = None,
    label: Annotated[str, typer.Option(help="A name for it.")] = "",
    api_url: ApiUrl = "",
    admin_token: AdminToken = "",
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Create a key for an account; its text is shown this once, on standard output alone."""
    from winnow.cli.connection import administering

    async with administering(api_url, admin_token, data_dir) as api:
        body = {"account_id": account, "scopes": scope or list(SCOPES), "label": label}
        made = await api.post("/v1/admin/keys", body)
    typer.echo(made["key"])


@app.command("list")
@command
async def list_keys(
    *,
    account: Annotated[str, typer.Option(help="Only of this account.")] = "",
    revoked: Annotated[bool, typer.Option("--revoked", help="Revoked keys as well.")] = False,
    api_url: ApiUrl = "",
    admin_token: AdminToken = "",
    data_dir: DataDir = DATA_DIR,
    as_json: Json = False,
) -> None:
    """List keys without their secrets, newest first."""
    from winnow.cli.connection import administering

    async with administering(api_url, admin_token, data_dir) as api:
        answer = await api.get("/v1/admin/keys", **({"account_id": account} if account else {}))
    shown = [key for key in answer["keys"] if revoked or not key["revoked_at"]]
    show_document(shown, _print, as_json=as_json)


@app.command("revoke")
@command
async def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `winnow keys list` shows it.")],
    *,
    api_url: ApiUrl = "",
    admin_token: AdminToken = "",
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Revoke a key; it stops working everywhere within two seconds."""
    from winnow.cli.connection import administering

    path = f"/v1/admin/keys/{checked_id(key_id, 'a key', 'winnow keys list')}"
    async with administering(api_url, admin_token, data_dir) as api:
        await api.delete(path)
    typer.echo(f"{key_id} is revoked.")


def _print(keys: list[dict[str, Any]]) -> None:
    from winnow.cli.answers import Key
    from winnow.cli.console import print_list

    rows = []
    for key in map(Key.model_validate, keys):
        state = f"revoked {key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else "valid"
        if key.expires_at is not None and key.revoked_at is None:
            state = f"until {key.expires_at:%Y-%m-%d %H:%M}"
        created = f"{key.created_at:%Y-%m-%d %H:%M}"
        rows.append((key.key_id, key.account_id, state, created, ", ".join(key.scopes), key.label))
    print_list(("key", "account", "state", "created", "scopes", "label"), rows)
