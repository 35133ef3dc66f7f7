"""Money as integers of micro-units: 1 credit = 1,000,000 and 1 USD = 1,000,000."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

MICRO: Final = 1_000_000
"""Micro-units in one credit or one USD."""

AMOUNT_MAX: Final = 2**53 - 1
"""Largest amount: exact in every JSON reader (the integers a double represents)."""

Micro = Annotated[int, Field(strict=True, ge=0, le=AMOUNT_MAX)]
"""A non-negative amount in micro-units; a float, even ``1.0``, is refused."""

SignedMicro = Annotated[int, Field(strict=True, ge=-AMOUNT_MAX, le=AMOUNT_MAX)]
"""A posting's amount in micro-units; the postings of an entry sum to zero per unit."""


def div_floor(amount: int, by: int) -> int:
    """Divide and round towards minus infinity; ``by`` must be positive."""
    if by <= 0:
        msg = "the divisor must be positive"
        raise ValueError(msg)
    return amount // by


def div_ceil(amount: int, by: int) -> int:
    """Divide and round towards plus infinity; ``by`` must be positive."""
    return -div_floor(-amount, by)


def format_micro(amount: int, unit: str) -> str:
    """Write an amount for people: ``1_500_000`` and ``"USD"`` give ``"1.50 USD"``, exact."""
    sign = "-" if amount < 0 else ""
    whole, micro = divmod(abs(amount), MICRO)
    fraction = f"{micro:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{fraction} {unit}"
