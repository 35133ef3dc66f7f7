"""The seam to the object store: hot calls by our own wire, the rest by boto3 in threads; all with a time limit."""

from __future__ import annotations

import argparse
import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from http import HTTPStatus
from typing import Any, Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from winnow.contracts.errors import NotFound, Unavailable
from winnow.objectwire.connection import BrokenExchange, RefusedRequest
from winnow.objectwire.wire import ObjectWire
from winnow.runtime import metrics

T = TypeVar("T")
_THREADS: Final = 8
_ABSENT: Final = frozenset({"404", "NoSuchKey", "NotFound", "NoSuchBucket"})
_count_of = cache(metrics.OBJECT_CALLS.labels)


class ObjectStore:
    """Put, get and sign. Absent things raise NotFound, a store that does not answer raises Unavailable."""

    def __init__(self, endpoint: str, region: str, access_key: str, secret_key: str) -> None:
        """Build the clients; they connect on first use. Raises Unavailable for an address or a key of no use."""
        try:
            self._wire = ObjectWire(endpoint, region, access_key, secret_key)
        except ValueError as error:
            raise Unavailable(str(error)) from None
        self._new_client = partial(_client, endpoint, region, access_key, secret_key)
        self._made: Any = None
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="objects")
        self._making = threading.Lock()

    @property
    def _client(self) -> Any:
        """Make the client in the thread that needs it first: it costs most of a second, and few services need it."""
        with self._making:
            if self._made is None:
                self._made = self._new_client()
            return self._made

    async def put(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Store an object; keys are content-addressed, so storing again changes nothing."""
        with _calling("put"):
            await self._wire.put(bucket, key, body, content_type)

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        """Read an object of at most ``max_bytes``; a larger one raises ValueError before it is read whole."""
        with _calling("get"):
            return await self._wire.get(bucket, key, max_bytes)

    async def exists(self, bucket: str, key: str) -> bool:
        """Return whether an object is there."""
        try:
            with _calling("head"):
                await self._wire.head(bucket, key)
        except NotFound:
            return False
        return True

    async def delete(self, bucket: str, keys: list[str]) -> None:
        """Delete objects; absent objects do not matter."""
        for start in range(0, len(keys), 1000):
            batch = {"Objects": [{"Key": key} for key in keys[start : start + 1000]], "Quiet": True}
            await self._call("delete", partial(self._delete, bucket, batch))

    def _delete(self, bucket: str, batch: dict[str, Any]) -> None:
        self._client.delete_objects(Bucket=bucket, Delete=batch)

    async def list(
        self, bucket: str, prefix: str, after: str = "", limit: int = 1000
    ) -> list[dict[str, Any]]:
        """List objects below a prefix in key order, as ``{"key", "size_bytes", "modified_at"}``."""
        answer = await self._call(
            "list",
            lambda: self._client.list_objects_v2(
                Bucket=bucket, Prefix=prefix, StartAfter=after, MaxKeys=limit
            ),
        )
        return [
            {"key": listed["Key"], "size_bytes": listed["Size"], "modified_at": listed["LastModified"]}
            for listed in answer.get("Contents", [])
        ]

    async def presign_get(
        self, bucket: str, key: str, *, expires_in_s: int, filename: str, content_type: str
    ) -> str:
        """Sign a link that downloads as an attachment and ends after ``expires_in_s``; never log it."""
        with _calling("presign"):
            return self._wire.link(
                bucket, key, expires_in_s=expires_in_s, filename=filename, content_type=content_type
            )

    async def make_bucket(self, bucket: str) -> None:
        """Create a bucket unless it is there."""
        try:
            await self.ping(bucket)
        except NotFound:
            await self._call("make", lambda: self._client.create_bucket(Bucket=bucket))

    async def expire_after(self, bucket: str, prefix: str, days: int) -> None:
        """Set the lifecycle rule that deletes objects below a prefix after some days."""
        rule = {
            "ID": f"expire-{prefix.strip('/')}",
            "Filter": {"Prefix": prefix},
            "Status": "Enabled",
            "Expiration": {"Days": days},
        }
        await self._call(
            "lifecycle",
            lambda: self._client.put_bucket_lifecycle_configuration(
                Bucket=bucket, LifecycleConfiguration={"Rules": [rule]}
            ),
        )

    async def ping(self, bucket: str) -> None:
        """Raise NotFound or Unavailable unless the bucket can be reached."""
        with _calling("head"):
            await self._wire.head(bucket)

    async def close(self) -> None:
        """Close the connections and stop the threads."""
        await self._wire.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._made is not None:
            self._made.close()

    async def _call(self, operation: str, call: Callable[[], T]) -> T:
        with _calling(operation):
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)


@contextmanager
def _calling(operation: str) -> Iterator[None]:
    """Count a call; turn the errors of both clients into NotFound for an absent thing, or else Unavailable."""
    _count_of(operation).inc()
    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _ABSENT:
            raise NotFound("the object does not exist") from None
        raise Unavailable("the object store refused the call") from error
    except RefusedRequest as error:
        if error.status == HTTPStatus.NOT_FOUND:
            raise NotFound("the object does not exist") from None
        raise Unavailable("the object store refused the call") from error
    except (BotoCoreError, BrokenExchange, OSError) as error:
        raise Unavailable("the object store does not answer") from error


def _client(endpoint: str, region: str, access_key: str, secret_key: str) -> Any:
    import boto3
    from botocore.client import Config

    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            connect_timeout=5,
            read_timeout=30,
            retries={"max_attempts": 4, "mode": "standard"},
            max_pool_connections=_THREADS,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def main() -> None:
    """Create buckets from the command line; the keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."""
    parser = argparse.ArgumentParser(description="Create the buckets that are missing.")
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("buckets", nargs="+")
    given = parser.parse_args()
    keys = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    objects = ObjectStore(given.endpoint, given.region, *keys)

    async def make() -> None:
        for bucket in given.buckets:
            await objects.make_bucket(bucket)
        await objects.close()

    asyncio.run(make())


if __name__ == "__main__":
    main()
