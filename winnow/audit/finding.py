"""Findings of an audit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault in the record, or a difference to the live state: which check, about what, and the sentence."""

    check: str
    subject: str
    text: str
