"""Draws what the scorer found onto a picture: faces, landmarks, subjects, and the verdict at its side."""

from __future__ import annotations

import io
from typing import Any, Final

from PIL import Image, ImageDraw, ImageFont, ImageOps

_LONG_SIDE_PX: Final = 1024
_PANEL_PX: Final = 420
_MARGIN_PX: Final = 16
_ROW_PX: Final = 24
_TEXT_PX: Final = 15
_GREEN: Final = (46, 160, 84)
_RED: Final = (214, 62, 56)
_AMBER: Final = (214, 150, 30)
_INK: Final = (236, 236, 236)
_GROUND: Final = (28, 30, 34)
_COLOURS: Final = {"box": (255, 205, 60), "points": (90, 220, 255), "outline": (255, 90, 200)}
_SCORE_MAX: Final = 100.0


def annotate(content: bytes, line: dict[str, Any]) -> bytes:
    """Draw a line of the score job onto its picture; return a PNG.

    A picture that does not open leaves only the panel.
    """
    picture, scale = _opened(content)
    draw = ImageDraw.Draw(picture)
    for shape in line.get("shapes", []):
        _draw_shape(draw, shape, scale)
    panel = _panel(line, picture.height)
    sheet = Image.new("RGB", (picture.width + panel.width, max(picture.height, panel.height)), _GROUND)
    sheet.paste(picture, (0, 0))
    sheet.paste(panel, (picture.width, 0))
    made = io.BytesIO()
    sheet.save(made, "PNG")
    return made.getvalue()


def _opened(content: bytes) -> tuple[Image.Image, float]:
    try:
        with Image.open(io.BytesIO(content)) as image:
            upright = ImageOps.exif_transpose(image).convert("RGBA")
    except (OSError, Image.DecompressionBombError, ValueError, SyntaxError):
        return Image.new("RGB", (_PANEL_PX, _PANEL_PX), (60, 60, 60)), 1.0
    ground = Image.new("RGBA", upright.size, (255, 255, 255, 255))
    ground.alpha_composite(upright)
    scale = _LONG_SIDE_PX / max(upright.size)
    size = (max(1, round(upright.width * scale)), max(1, round(upright.height * scale)))
    return ground.convert("RGB").resize(size, Image.Resampling.LANCZOS), scale


def _draw_shape(draw: ImageDraw.ImageDraw, shape: dict[str, Any], scale: float) -> None:
    colour = _COLOURS[shape["kind"]]
    points = [(x * scale, y * scale) for x, y in shape["points"]]
    if shape["kind"] == "points":
        for x, y in points:
            draw.ellipse((x - 1.2, y - 1.2, x + 1.2, y + 1.2), fill=colour)
        return
    if shape["kind"] == "box":
        draw.rectangle((*points[0], *points[1]), outline=colour, width=3)
    elif len(points) > 1:
        draw.line([*points, points[0]], fill=colour, width=3, joint="curve")
    left, top = min(x for x, _ in points), min(y for _, y in points)
    draw.text(
        (left + 4, max(2, top - 20)),
        shape["label"],
        fill=colour,
        font=_font(_TEXT_PX),
        stroke_width=2,
        stroke_fill="black",
    )


def _panel(line: dict[str, Any], height: int) -> Image.Image:
    rows = line["dimensions"]
    panel = Image.new("RGB", (_PANEL_PX, max(height, 3 * _MARGIN_PX + _ROW_PX * (len(rows) + 3))), _GROUND)
    draw = ImageDraw.Draw(panel)
    colour, words = (_GREEN, "passes") if line["passed"] else (_RED, "does not pass")
    draw.text((_MARGIN_PX, _MARGIN_PX), f"{words} {line['profile']}", fill=colour, font=_font(20))
    draw.text((_MARGIN_PX, _MARGIN_PX + 28), f"score {line['score']:.1f}", fill=_INK, font=_font(_TEXT_PX))
    top = _MARGIN_PX + 64
    for row in rows:
        _row(draw, row, top)
        top += _ROW_PX
    return panel


def _row(draw: ImageDraw.ImageDraw, dimension: dict[str, Any], top: int) -> None:
    colour = (
        _GREEN
        if dimension["passed"]
        else _RED
        if dimension["required"] and dimension["status"] == "ok"
        else _AMBER
    )
    draw.text((_MARGIN_PX, top), dimension["name"], fill=_INK, font=_font(_TEXT_PX))
    left, width = 190, 110
    draw.rectangle((left, top + 4, left + width, top + 14), fill=(60, 64, 70))
    if dimension["score"] is not None:
        draw.rectangle((left, top + 4, left + width * dimension["score"] / _SCORE_MAX, top + 14), fill=colour)
        at = left + width * dimension["threshold"] / _SCORE_MAX
        draw.line((at, top + 1, at, top + 17), fill=_INK, width=1)
        text = f"{dimension['raw']:.4g}"
    else:
        text = dimension["status"].replace("failure_to_assess", "not assessed").replace("_", " ")
    draw.text((left + width + 10, top), text, fill=colour, font=_font(13))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
