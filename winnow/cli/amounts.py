"""Amounts as people write them, read exactly."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from winnow.cli.errors import CliError
from winnow.contracts.money import MICRO


def micro_of(text: str, unit: str) -> int:
    """Return an amount in micro-units; raises CliError for text that is no amount of whole micro-units."""
    try:
        amount = Decimal(text) * MICRO
    except InvalidOperation:
        raise CliError(f"{text!r} is no amount in {unit}.", hint="Write it like 0.25.") from None
    if not amount.is_finite() or amount <= 0 or amount != amount.to_integral_value():
        raise CliError(f"{text} {unit} is not a positive amount with at most six decimals.")
    return int(amount)
