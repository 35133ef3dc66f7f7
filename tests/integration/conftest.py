"""Fixtures of the tests with real servers."""

from __future__ import annotations

from tests.integration.bus_records import place

__all__ = ["place"]
