"""Dimension: a named measure with its tier, unit, models, and the function that measures it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.scorer.domain.measures import Evidence, Measurement
from services.scorer.vision.image_analysis import ImageAnalysis, Region
from winnow.contracts.values import MeasureStatus

MeasureDimension = Callable[[ImageAnalysis], Measurement]


def _always_applicable(_: ImageAnalysis) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Dimension:
    """A dimension that can be measured.

    ``unit`` is that of the raw value in words. ``needs`` names the models without which it is
    ``unavailable``; ``measure`` is then not called. ``follows`` makes the regional measures read where this
    dimension reads. Where no wanted dimension ``sees_colour``, a JPEG's luminance alone is decoded.
    ``no_question`` returns a stable word when the question does not arise for the order. The dimension is
    then ``not_applicable``, with or without its models.
    """

    name: str
    tier: int
    unit: str
    measure: MeasureDimension
    needs: tuple[str, ...] = ()
    follows: Region = Region.frame
    sees_colour: bool = True
    no_question: Callable[[ImageAnalysis], str | None] = _always_applicable


def ok(name: str, raw: float, evidence: Evidence | None = None) -> Measurement:
    """Return a taken value."""
    return Measurement(name, MeasureStatus.ok, raw, evidence or {})


def failed(name: str, reason: str, evidence: Evidence | None = None) -> Measurement:
    """Return that the value could not be taken of this picture, with a stable word for why."""
    return Measurement(name, MeasureStatus.failure_to_assess, evidence={**(evidence or {}), "reason": reason})


def not_applicable(name: str, reason: str) -> Measurement:
    """Return that the question does not arise, for instance without anything to compare with."""
    return Measurement(name, MeasureStatus.not_applicable, evidence={"reason": reason})


def unavailable(name: str, reason: str, evidence: Evidence | None = None) -> Measurement:
    """Return that this installation cannot take the value, with a stable word for why."""
    return Measurement(name, MeasureStatus.unavailable, evidence={**(evidence or {}), "reason": reason})


def table(*dimensions: Dimension) -> dict[str, Dimension]:
    """Return a family's dimensions by name."""
    return {dimension.name: dimension for dimension in dimensions}
