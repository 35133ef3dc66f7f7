"""An address names a blob store, or is refused with a sentence before anything is asked of a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from winnow.audit.blob_store import BadAddress, LocalBlobs, Location


@pytest.mark.parametrize(
    "address", ["", "s3://", "s3:///prefix", "s3://Bad_Bucket/x", "s3://a", "http://store/x", "file:///tmp"]
)
def test_an_address_that_names_no_shelf_is_refused(address: str) -> None:
    with pytest.raises(BadAddress, match=r"is neither s3://bucket/prefix nor a folder"):
        Location(address, "http://127.0.0.1:1").check()


def test_a_file_is_no_shelf(tmp_path: Path) -> None:
    file = tmp_path / "archive"
    file.write_bytes(b"")
    with pytest.raises(BadAddress, match="nor a folder"):
        Location(str(file)).check()


def test_a_bucket_needs_a_store() -> None:
    with pytest.raises(BadAddress, match="needs an object store, and none is given"):
        Location("s3://bucket/prefix").check()


def test_folders_that_are_there_or_not_yet_and_buckets_are_shelves(tmp_path: Path) -> None:
    for address in (str(tmp_path), str(tmp_path / "new"), "relative", "s3://my-bucket", "s3://bucket/a/b"):
        Location(address, "http://127.0.0.1:1").check()


async def test_a_shelf_that_is_none_is_not_opened() -> None:
    with pytest.raises(BadAddress):
        async with Location("s3://").open():
            pass


async def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fails once the bytes are written, before they are known to be kept."""

    def fail(descriptor: int) -> None:
        raise OSError(f"no space for {descriptor}")

    folder = LocalBlobs(tmp_path)
    await folder.put("manifests/1.json", b"first")
    monkeypatch.setattr("winnow.audit.blob_store.os.fsync", fail)
    for name in ("manifests/1.json", "manifests/2.json"):
        with pytest.raises(OSError, match="no space"):
            await folder.put(name, b"second")
    assert await folder.names("") == ["manifests/1.json"]
    assert await folder.get("manifests/1.json") == b"first"
