"""Readers of the command lines' values; each raises what argparse turns into a sentence."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def rates(text: str) -> tuple[float, ...]:
    """Read a list of rates as ``10,25``; empty is none."""
    found = tuple(float(part) for part in text.split(",") if part.strip())
    if any(rate <= 0 for rate in found):
        msg = f"a rate is more than 0 orders a second: {text}"
        raise argparse.ArgumentTypeError(msg)
    return found


def seconds(text: str) -> float:
    """Read a length of time."""
    value = float(text)
    if not value > 0:
        msg = f"more than 0 seconds: {text}"
        raise argparse.ArgumentTypeError(msg)
    return value


def at_least(least: int) -> Callable[[str], int]:
    """Return what reads a whole number of at least ``least``."""

    def whole_number(text: str) -> int:
        value = int(text)
        if value < least:
            msg = f"at least {least}: {text}"
            raise argparse.ArgumentTypeError(msg)
        return value

    return whole_number


def load_of(text: str) -> str:
    """Read a load: ``fastest``, ``rest``, or a rate in orders a second."""
    if text in {"fastest", "rest"}:
        return text
    if len(rates(text)) != 1:
        msg = f"fastest, rest, or a number of orders a second: {text}"
        raise argparse.ArgumentTypeError(msg)
    return text
