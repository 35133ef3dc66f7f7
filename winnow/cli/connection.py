"""Connections to the public API, as a client of an account or as an administrator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from winnow.cli.client import Api
from winnow.cli.line_access import LineAccess, address, secret


@asynccontextmanager
async def connected(api_url: str, api_key: str, data_dir: Path) -> AsyncIterator[Api]:
    """Connect to the API that was named, or to the embedded one."""
    access = LineAccess.read(data_dir)
    url = address(api_url, access.api_url, "the API", "WINNOW_API_URL", data_dir)
    # The stored key belongs to the embedded API alone and is not sent anywhere else.
    stored_secret = access.api_key if url == access.api_url else ""
    api = Api(url, secret(api_key, stored_secret, "API key", "WINNOW_API_KEY"))
    try:
        yield api
    finally:
        await api.close()


@asynccontextmanager
async def administering(api_url: str, admin_token: str, data_dir: Path) -> AsyncIterator[Api]:
    """Connect as an administrator to the API that was named, or to the embedded one."""
    access = LineAccess.read(data_dir)
    url = address(api_url, access.api_url, "the API", "WINNOW_API_URL", data_dir)
    stored_secret = access.admin_token if url == access.api_url else ""
    api = Api(url, secret(admin_token, stored_secret, "administrator's key", "WINNOW_ADMIN_TOKEN"))
    try:
        yield api
    finally:
        await api.close()
