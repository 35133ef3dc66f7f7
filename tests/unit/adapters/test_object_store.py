"""The object store against a server that fails as asked; the real store is met in the integration tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from botocore.exceptions import ClientError, EndpointConnectionError

from winnow.adapters.object_store import ObjectStore
from winnow.contracts.errors import NotFound, Unavailable
from winnow.objectwire import wire
from winnow.runtime import metrics


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
async def store() -> AsyncIterator[tuple[Store, ObjectStore]]:
    found = Store()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    objects = ObjectStore(f"http://127.0.0.1:{port}", "us-east-1", "access", "secret")
    yield found, objects
    await objects.close()
    await runner.cleanup()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_FIRST_WAIT_S", 0.001)


@pytest.mark.asyncio
async def test_every_request_is_signed_and_odd_keys_are_escaped(store: tuple[Store, ObjectStore]) -> None:
    found, objects = store
    await objects.put("bucket", "a b/ü+.jpg", b"bytes", "image/jpeg")
    assert await objects.get("bucket", "a b/ü+.jpg", 100) == b"picture"
    (put, path, body, signature), (get, _, _, _) = found.seen
    assert (put, get, body) == ("PUT", "GET", b"bytes")
    assert path == "/bucket/a%20b/%C3%BC%2B.jpg"
    assert signature.startswith("AWS4-HMAC-SHA256 Credential=access/")


@pytest.mark.asyncio
async def test_a_server_fault_is_tried_again_and_a_lasting_one_is_unavailable(
    store: tuple[Store, ObjectStore],
) -> None:
    found, objects = store
    found.statuses = [503, 500, 502]
    assert await objects.get("bucket", "key", 100) == b"picture"
    assert len(found.seen) == 4
    found.statuses = [503] * 4
    with pytest.raises(Unavailable):
        await objects.get("bucket", "key", 100)
    assert len(found.seen) == 8


@pytest.mark.asyncio
async def test_absent_and_refused_are_not_tried_again(store: tuple[Store, ObjectStore]) -> None:
    found, objects = store
    found.statuses = [404, 403]
    with pytest.raises(NotFound):
        await objects.ping("bucket")
    with pytest.raises(Unavailable):
        await objects.put("bucket", "key", b"", "image/png")
    assert len(found.seen) == 2


@pytest.mark.asyncio
async def test_a_larger_object_than_allowed_is_refused(store: tuple[Store, ObjectStore]) -> None:
    found, objects = store
    found.body = b"x" * 101
    with pytest.raises(ValueError, match="larger"):
        await objects.get("bucket", "key", 100)


@pytest.mark.asyncio
async def test_a_store_that_is_not_there_is_unavailable() -> None:
    objects = ObjectStore("http://127.0.0.1:9", "us-east-1", "access", "secret")
    with pytest.raises(Unavailable):
        await objects.ping("bucket")
    await objects.close()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("error", "named"),
    [
        (ClientError({"Error": {"Code": "NoSuchKey"}}, "DeleteObjects"), NotFound),
        (ClientError({"Error": {"Code": "AccessDenied"}}, "DeleteObjects"), Unavailable),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:9"), Unavailable),
    ],
)
async def test_botocore_and_the_own_client_have_one_translator(
    monkeypatch: pytest.MonkeyPatch, error: Exception, named: type[Exception]
) -> None:
    objects = ObjectStore("http://127.0.0.1:9", "us-east-1", "access", "secret")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(objects, "_delete", fail)
    before = metrics.OBJECT_CALLS.labels("delete")._value.get()
    with pytest.raises(named):
        await objects.delete("bucket", ["key"])
    assert metrics.OBJECT_CALLS.labels("delete")._value.get() == before + 1
    await objects.close()
