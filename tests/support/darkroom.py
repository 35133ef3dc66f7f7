"""The darkroom of the test process: its preparation takes a second of CPU."""

from __future__ import annotations

from functools import cache

from simulators.renderer import Renderer


@cache
def shared_darkroom() -> Renderer:
    """Return the same darkroom to every test; it keeps nothing of what it develops."""
    return Renderer()
