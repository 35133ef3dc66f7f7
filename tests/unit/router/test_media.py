"""The private files of tasks: what counts as a picture, and under which name it lies."""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any

import pytest
from PIL import Image

from services.router.clients import media as media_room
from services.router.clients.media import TaskMedia
from services.router.domain.calls import NotAnImage
from tests.support.builders.picture_files import jpeg_of_size, png_of_size
from winnow.contracts.values import StoredObject


class Objects:
    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.reads = 0

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        self.reads += 1
        return self.files[key]

    async def put(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        self.files[key] = body


def picture(kind: str = "JPEG", size: tuple[int, int] = (64, 48)) -> bytes:
    held = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(held, kind)
    return held.getvalue()


async def keep(objects: Objects, content: bytes, *, is_whole: bool = True) -> StoredObject:
    image = await TaskMedia(objects, "private").store_candidate(
        account_id="acct_a", task_id="task_t", candidate_id="cand_c", content=content
    )
    assert image.is_whole is is_whole
    return image.stored


@pytest.mark.parametrize(
    ("kind", "content_type", "extension"),
    [("JPEG", "image/jpeg", "jpg"), ("PNG", "image/png", "png"), ("WEBP", "image/webp", "webp")],
)
async def test_a_picture_is_stored_under_its_content(kind: str, content_type: str, extension: str) -> None:
    objects, content = Objects(), picture(kind)
    stored = await keep(objects, content)
    sha256 = hashlib.sha256(content).hexdigest()
    assert stored.key == f"candidates/acct_a/task_t/cand_c-{sha256[:16]}.{extension}"
    assert objects.files == {stored.key: content}
    assert (stored.width, stored.height, stored.content_type) == (64, 48, content_type)
    assert (stored.sha256, stored.size_bytes) == (sha256, len(content))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>not found</html>",
        picture("GIF"),
        picture("BMP"),
        picture()[:20],
        picture() + b"PK\x03\x04",
        picture("PNG") + b"<script>",
        picture("WEBP") + picture(),
        jpeg_of_size(picture(), 10_000, 10_000),
        png_of_size(10_000, 10_000),
    ],
    ids=[
        "empty",
        "html",
        "gif",
        "bmp",
        "cut header",
        "jpeg and zip",
        "png and html",
        "webp and jpeg",
        "jpeg bomb",
        "png bomb",
    ],
)
async def test_what_is_no_picture_by_its_structure_is_no_candidate(content: bytes) -> None:
    objects = Objects()
    with pytest.raises(NotAnImage):
        await keep(objects, content)
    assert objects.files == {}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_a_picture_that_is_cut_short_is_left_to_the_scorer(kind: str) -> None:
    objects, content = Objects(), picture(kind)
    stored = await keep(objects, content[: len(content) * 2 // 5], is_whole=False)
    assert (stored.width, stored.height) == (64, 48)
    assert stored.size_bytes == len(objects.files[stored.key]) == len(content) * 2 // 5


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
async def test_a_film_is_no_candidate(kind: str) -> None:
    # The scorer would refuse it: what cannot pass counts against the offering at once, like a broken file.
    objects, film = Objects(), io.BytesIO()
    frames = [Image.new("RGB", (16, 16), (number * 20, 0, 0)) for number in range(5)]
    frames[0].save(film, kind, save_all=True, append_images=frames[1:], duration=20)
    with pytest.raises(NotAnImage):
        await keep(objects, film.getvalue())
    assert objects.files == {}


async def test_a_picture_with_too_many_pixels_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_room, "PIXELS_MAX", 1000)
    with pytest.raises(NotAnImage):
        await keep(Objects(), picture())


def request(body: bytes, sha256: str = "") -> StoredObject:
    return StoredObject(
        bucket="private",
        key="requests/r.json",
        sha256=sha256 or hashlib.sha256(body).hexdigest(),
        size_bytes=len(body),
        content_type="application/json",
    )


async def test_a_request_is_read_once() -> None:
    objects, body = Objects(), json.dumps({"prompt": "p"}).encode()
    objects.files["requests/r.json"] = body
    media = TaskMedia(objects, "private")
    for _ in range(3):
        document: Any = await media.read_request(request(body))
        assert document == {"prompt": "p"}
    assert objects.reads == 1


@pytest.mark.parametrize(("body", "sha256"), [(b"{}", "b" * 64), (b"[]", ""), (b"{", "")])
async def test_a_request_that_is_not_the_accepted_one_is_refused(body: bytes, sha256: str) -> None:
    objects = Objects()
    objects.files["requests/r.json"] = body
    with pytest.raises(ValueError):
        await TaskMedia(objects, "private").read_request(request(body, sha256))
