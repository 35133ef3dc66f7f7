"""Outputs in full size, each compared with the sha256 that the delivery recorded."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from winnow.cli.answers import OutputLink
from winnow.cli.client import Api
from winnow.cli.errors import CliError
from winnow.cli.loopback import is_loopback

_TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
_EXTENSIONS: Final = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}


@dataclass(frozen=True, slots=True)
class DownloadedFile:
    """An output that lies whole at ``path``."""

    output: OutputLink
    path: Path


async def download_outputs(api: Api, task_id: str, folder: Path) -> list[DownloadedFile]:
    """Download the outputs of a task, the best first; repeating it downloads only what is missing.

    Raises CliError for a link that has gone and for bytes that are not those that were delivered.
    """
    answer = await api.get(f"/v1/tasks/{task_id}/outputs")
    outputs = sorted(map(OutputLink.model_validate, answer["outputs"]), key=lambda output: output.rank)
    files: list[DownloadedFile] = []
    # A link carries its own signature: the API key is not sent to the object store.
    async with link_clients(_TIMEOUT) as client_for:
        for output in outputs:
            path = folder / f"{output.rank:03d}{_EXTENSIONS.get(output.content_type, '')}"
            if not _is_whole(path, output.sha256):
                await _download(client_for(output.url or ""), output, path)
            files.append(DownloadedFile(output, path))
    return files


@asynccontextmanager
async def link_clients(limits: httpx.Timeout) -> AsyncIterator[Callable[[str], httpx.AsyncClient]]:
    """Yield the client for a link: the environment's proxy has no business with links to this machine."""
    async with (
        httpx.AsyncClient(timeout=limits, trust_env=False) as direct,
        httpx.AsyncClient(timeout=limits) as proxied,
    ):
        yield lambda url: direct if is_loopback(url) else proxied


async def _download(client: httpx.AsyncClient, output: OutputLink, path: Path) -> None:
    if not output.url:
        raise CliError(f"Output #{output.rank} has no link any more: its retention is over.")
    digest = hashlib.sha256()
    partial = path.with_name(f"{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        async with client.stream("GET", output.url) as response:
            if response.is_error:
                raise CliError(f"The object store answered {response.status_code} for output #{output.rank}.")
            with partial.open("wb") as file:
                async for chunk in response.aiter_bytes():
                    digest.update(chunk)
                    file.write(chunk)
        if digest.hexdigest() != output.sha256:
            raise CliError(f"The bytes of output #{output.rank} are not those that were delivered.")
        partial.replace(path)
    except httpx.TransportError as error:
        raise CliError(f"The object store does not answer for output #{output.rank}.") from error
    finally:
        partial.unlink(missing_ok=True)


def _is_whole(path: Path, sha256: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256
