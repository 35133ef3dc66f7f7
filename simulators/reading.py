"""Reads a generation request's fields; what is wrong is raised once and worded by each vendor."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from simulators.renderer import SIDE_MAX_PX, SIDE_MIN_PX


class InputProblem(ValueError):  # noqa: N818 - a problem of the client's, not an error of ours
    """A field that cannot be used: its name (empty for the whole body), a stable kind, and a sentence."""

    def __init__(self, field: str, kind: str, detail: str) -> None:
        """Name the field and say what is wrong with it."""
        super().__init__(detail)
        self.field = field
        self.kind = kind
        self.detail = detail


def text(given: Mapping[str, object], field: str, *, chars_max: int) -> str:
    """Return a required text."""
    value = given.get(field)
    if not isinstance(value, str) or not value:
        raise InputProblem(field, "missing", "Field required")
    if len(value) > chars_max:
        raise InputProblem(field, "string_too_long", f"String should have at most {chars_max} characters")
    return value


def integer(given: Mapping[str, object], field: str, *, default: int, lowest: int, highest: int) -> int:
    """Return a bounded integer; null counts as absent."""
    value = given.get(field)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise InputProblem(field, "value_error", f"Input should be an integer between {lowest} and {highest}")
    return value


def seed(given: Mapping[str, object]) -> int | None:
    """Return the seed, or null where none is given."""
    if given.get("seed") is None:
        return None
    return integer(given, "seed", default=0, lowest=0, highest=2**63 - 1)


def choice(given: Mapping[str, object], field: str, known: Collection[str], *, default: str) -> str:
    """Return one of the known words; null counts as absent."""
    value = given.get(field)
    if value is None:
        return default
    if not isinstance(value, str) or value not in known:
        raise InputProblem(field, "literal_error", f"Input should be one of: {', '.join(sorted(known))}")
    return value


def pixels(width: object, height: object, *, field: str) -> tuple[int, int]:
    """Return (width, height) in px."""
    for side in (width, height):
        if not isinstance(side, int) or not SIDE_MIN_PX <= side <= SIDE_MAX_PX:
            raise InputProblem(
                field, "value_error", f"Sides should lie between {SIDE_MIN_PX} and {SIDE_MAX_PX} px"
            )
    return int(str(width)), int(str(height))
