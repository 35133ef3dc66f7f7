"""Finished images look the same, carry nothing but pixels, and are the same bytes every time."""

from __future__ import annotations

import io

import pytest
from PIL import Image, ImageChops, ImageCms, ImageOps, ImageStat, PngImagePlugin

from services.delivery.clients.images import ImageFinisher, finish_image
from services.delivery.domain.images import ContentDiffers
from tests.unit.delivery.builders import image_bytes, stored
from winnow.contracts.errors import ErrorCode, Refused

PIXELS = 40_000_000


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def with_metadata() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "secret description"
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[1] = "N"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    content = image_bytes("JPEG", exif=exif, icc_profile=profile, comment=b"secret comment", quality=95)
    return content + b"trailing secret"


def test_finishing_strips_exif_icc_comment_and_trailing_bytes():
    content = with_metadata()
    assert content.count(b"secret") == 3
    finished = finish_image(content, PIXELS, 256)
    for picture in (finished.output, finished.thumbnail):
        image = opened(picture.content)
        assert not image.getexif()
        assert not {"icc_profile", "exif", "comment", "xmp"} & set(image.info)
        assert b"secret" not in picture.content
        assert b"Exif" not in picture.content
        assert b"ICC_PROFILE" not in picture.content


def test_finishing_applies_the_orientation_it_strips():
    finished = finish_image(with_metadata(), PIXELS, 256)
    assert (finished.output.width, finished.output.height) == (480, 640)


def test_finishing_strips_text_of_a_png_and_keeps_every_pixel():
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "secret prompt")
    content = image_bytes("PNG", pnginfo=text)
    finished = finish_image(content, PIXELS, 256)
    assert finished.output.content_type == "image/png"
    assert b"secret" not in finished.output.content
    assert ImageChops.difference(opened(content), opened(finished.output.content)).getbbox() is None


def test_transparency_is_kept():
    content = image_bytes("PNG", mode="RGBA")
    assert opened(finish_image(content, PIXELS, 64).output.content).mode == "RGBA"


def largest(band: Image.Image) -> float:
    """Return the largest value of a picture of one band."""
    _, high = band.getextrema()
    assert isinstance(high, int | float)
    return high


def test_a_jpeg_stays_a_jpeg_that_looks_the_same():
    content = image_bytes("JPEG", quality=90)
    output = opened(finish_image(content, PIXELS, 256).output.content)
    assert output.format == "JPEG"
    difference = ImageChops.difference(opened(content), output)
    assert max(largest(band) for band in difference.split()) <= 12


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 30}, {"subsampling": 0}])
def test_a_jpeg_keeps_its_pixels_bit_for_bit(options):
    content = image_bytes("JPEG", comment=b"secret", **options)
    output = finish_image(content, PIXELS, 256).output
    assert (output.content_type, output.width, output.height) == ("image/jpeg", 640, 480)
    assert ImageChops.difference(opened(content), opened(output.content)).getbbox() is None
    assert b"secret" not in output.content
    assert len(output.content) < len(content)


@pytest.mark.parametrize("orientation", range(1, 10))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_every_orientation_is_applied(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = image_bytes(kind, exif=exif)
    shown = ImageOps.exif_transpose(opened(content)).convert("RGB")
    finished = finish_image(content, PIXELS, 256)
    output = opened(finished.output.content)
    assert output.size == shown.size == (finished.output.width, finished.output.height)
    assert max(ImageStat.Stat(ImageChops.difference(output, shown)).mean) < 2
    small = opened(finished.thumbnail.content)
    assert max(small.size) == 256
    assert (small.width > small.height) == (shown.width > shown.height)


@pytest.mark.parametrize("size", [(640, 480), (1024, 1024), (700, 100), (100, 80), (300, 299), (1, 1)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_thumbnail_shows_the_picture_as_scaling_the_whole_does(kind, size):
    content = image_bytes(kind, size=size)
    wanted = opened(content).convert("RGB")
    wanted.thumbnail((256, 256), Image.Resampling.LANCZOS)
    found = opened(finish_image(content, PIXELS, 256).thumbnail.content)
    assert found.size == wanted.size
    assert max(ImageStat.Stat(ImageChops.difference(found, wanted)).mean) < 8


def test_a_colour_profile_is_converted_not_just_dropped():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    content = image_bytes("PNG", icc_profile=_swap_primaries(profile))
    red, _, blue = opened(content).split()
    shown_red, _, shown_blue = opened(finish_image(content, PIXELS, 256).output.content).split()
    assert largest(ImageChops.difference(red, blue)) > 200
    assert largest(ImageChops.difference(shown_red, blue)) <= 2
    assert largest(ImageChops.difference(shown_blue, red)) <= 2


def _swap_primaries(profile: bytes) -> bytes:
    """Swap the red and blue primaries in a profile's tag table: dropping it would swap what is seen."""
    swapped = profile.replace(b"rXYZ", b"qXYZ", 1).replace(b"bXYZ", b"rXYZ", 1)
    return swapped.replace(b"qXYZ", b"bXYZ", 1)


def test_a_broken_profile_is_ignored():
    content = image_bytes("PNG", icc_profile=b"not a profile")
    assert finish_image(content, PIXELS, 256).output.width == 640


@pytest.mark.parametrize("mode", ["L", "P", "1", "LA", "I;16"])
def test_every_png_mode_is_finished(mode):
    assert finish_image(image_bytes("PNG", mode=mode), PIXELS, 64).output.content_type == "image/png"


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "CMYK"), ("JPEG", "L"), ("WEBP", "RGB")])
def test_other_photographs_become_jpegs(kind, mode):
    assert finish_image(image_bytes(kind, mode=mode), PIXELS, 64).output.content_type == "image/jpeg"


def test_a_thumbnail_is_a_small_webp_of_the_same_shape():
    thumbnail = finish_image(image_bytes(), PIXELS, 256).thumbnail
    assert (thumbnail.content_type, thumbnail.width, thumbnail.height) == ("image/webp", 256, 192)
    assert opened(thumbnail.content).size == (256, 192)


def test_the_same_bytes_give_the_same_files():
    content = with_metadata()
    assert finish_image(content, PIXELS, 256) == finish_image(content, PIXELS, 256)


@pytest.mark.parametrize(
    "content", [b"", b"not an image", image_bytes()[:2000], image_bytes("GIF", mode="P")]
)
def test_what_does_not_decode_is_refused(content):
    with pytest.raises(Refused) as refused:
        finish_image(content, PIXELS, 256)
    assert refused.value.code is ErrorCode.image_not_decodable


def test_too_many_pixels_are_refused_before_they_are_decoded():
    with pytest.raises(Refused) as refused:
        finish_image(image_bytes(), 640 * 480 - 1, 256)
    assert refused.value.code is ErrorCode.image_too_large


def test_an_animation_is_refused():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:])
    with pytest.raises(Refused):
        finish_image(buffer.getvalue(), PIXELS, 8)


async def test_bytes_that_are_not_what_was_stored_are_not_finished():
    finisher = ImageFinisher(threads=1, pixels_max=PIXELS, thumbnail_px=64)
    try:
        with pytest.raises(ContentDiffers):
            await finisher.finish(image_bytes(), stored(image_bytes() + b"x"))
    finally:
        finisher.close()


async def test_the_finisher_works_off_the_loop():
    finisher = ImageFinisher(threads=1, pixels_max=PIXELS, thumbnail_px=64)
    try:
        finished = await finisher.finish(image_bytes(), stored(image_bytes()))
        assert finished.thumbnail.width == 64
    finally:
        finisher.close()
