"""`winnow keys`: API keys, made and revoked through the administrators' routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table

from winnow.cli.answers import Key
from winnow.cli.client import Api
from winnow.cli.options import DATA_DIR, AdminToken, ApiUrl, DataDir
from winnow.cli.place import Place, address, secret
from winnow.cli.trouble import command, out

app = typer.Typer(no_args_is_help=True, help="API keys: create, list, revoke.")
SCOPES: Final = ("tasks:write", "tasks:read", "account:read", "webhooks:write")
"""What a key may do unless other scopes are named."""


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
    async with administering(api_url, admin_token, data_dir) as api:
        body = {"account_id": account, "scopes": scope or list(SCOPES), "label": label}
        made = await api.post("/v1/admin/keys", body)
    out.print(made["key"], markup=False, soft_wrap=True)


@app.command("list")
@command
async def list_keys(
    *,
    account: Annotated[str, typer.Option(help="Only of this account.")] = "",
    revoked: Annotated[bool, typer.Option("--revoked", help="Revoked ones as well.")] = False,
    api_url: ApiUrl = "",
    admin_token: AdminToken = "",
    data_dir: DataDir = DATA_DIR,
) -> None:
    """List keys without their secrets, newest first."""
    async with administering(api_url, admin_token, data_dir) as api:
        answer = await api.get("/v1/admin/keys", **({"account_id": account} if account else {}))
    table = Table("key", "account", "scopes", "label", "created", "state")
    for key in [Key.model_validate(one) for one in answer["keys"]]:
        if key.revoked_at is not None and not revoked:
            continue
        state = f"revoked {key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else "valid"
        if key.expires_at is not None and key.revoked_at is None:
            state = f"until {key.expires_at:%Y-%m-%d %H:%M}"
        created = f"{key.created_at:%Y-%m-%d %H:%M}"
        table.add_row(key.key_id, key.account_id, ", ".join(key.scopes), key.label, created, state)
    out.print(table)


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
    async with administering(api_url, admin_token, data_dir) as api:
        await api.delete(f"/v1/admin/keys/{key_id}")
    out.print(f"{key_id} is revoked.", markup=False)


@asynccontextmanager
async def administering(api_url: str, admin_token: str, data_dir: Path) -> AsyncIterator[Api]:
    """Connect as an administrator to the API that was named, or to the embedded one."""
    kept = Place.read(data_dir)
    url = address(api_url, kept.api_url, "the API", "WINNOW_API_URL", data_dir)
    mine = kept.admin_token if url == kept.api_url else ""
    api = Api(url, secret(admin_token, mine, "administrator's key", "WINNOW_ADMIN_TOKEN"))
    try:
        yield api
    finally:
        await api.close()
