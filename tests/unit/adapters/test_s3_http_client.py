"""The wire to the object store against a server that fails as asked; the real store is met in the integration tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web

from winnow.adapters import s3_http_client
from winnow.adapters.s3_http_client import S3HttpClient
from winnow.contracts.errors import NotFound, Unavailable


class Store:
    """Answers with the statuses it is given, then 200; keeps what it was sent."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.seen: list[tuple[str, str, bytes, str]] = []
        self.body = b"picture"

    async def answer(self, request: web.Request) -> web.Response:
        self.seen.append(
            (
                request.method,
                request.raw_path,
                await request.read(),
                request.headers.get("Authorization", ""),
            )
        )
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, body=self.body)


@pytest_asyncio.fixture
async def store() -> AsyncIterator[tuple[Store, S3HttpClient]]:
    found = Store()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    wire = S3HttpClient(f"http://127.0.0.1:{port}", "us-east-1", "access", "secret")
    yield found, wire
    await wire.close()
    await runner.cleanup()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_http_client, "_FIRST_WAIT_S", 0.001)


@pytest.mark.asyncio
async def test_every_request_is_signed_and_odd_keys_are_escaped(store: tuple[Store, S3HttpClient]) -> None:
    found, wire = store
    await wire.put("bucket", "a b/ü+.jpg", b"bytes", "image/jpeg")
    assert await wire.get("bucket", "a b/ü+.jpg", 100) == b"picture"
    (put, path, body, signature), (get, _, _, _) = found.seen
    assert (put, get, body) == ("PUT", "GET", b"bytes")
    assert path == "/bucket/a%20b/%C3%BC%2B.jpg"
    assert signature.startswith("AWS4-HMAC-SHA256 Credential=access/")


@pytest.mark.asyncio
async def test_a_server_fault_is_tried_again_and_a_lasting_one_is_unavailable(
    store: tuple[Store, S3HttpClient],
) -> None:
    found, wire = store
    found.statuses = [503, 500, 502]
    assert await wire.get("bucket", "key", 100) == b"picture"
    assert len(found.seen) == 4
    found.statuses = [503] * 4
    with pytest.raises(Unavailable):
        await wire.get("bucket", "key", 100)
    assert len(found.seen) == 8


@pytest.mark.asyncio
async def test_absent_and_refused_are_not_tried_again(store: tuple[Store, S3HttpClient]) -> None:
    found, wire = store
    found.statuses = [404, 403]
    with pytest.raises(NotFound):
        await wire.head("bucket", "key")
    with pytest.raises(Unavailable):
        await wire.put("bucket", "key", b"", "image/png")
    assert len(found.seen) == 2


@pytest.mark.asyncio
async def test_a_larger_object_than_allowed_is_refused(store: tuple[Store, S3HttpClient]) -> None:
    found, wire = store
    found.body = b"x" * 101
    with pytest.raises(ValueError, match="larger"):
        await wire.get("bucket", "key", 100)


@pytest.mark.asyncio
async def test_a_store_that_is_not_there_is_unavailable() -> None:
    wire = S3HttpClient("http://127.0.0.1:9", "us-east-1", "access", "secret")
    with pytest.raises(Unavailable):
        await wire.head("bucket")
    await wire.close()
