"""The renderer of the test process: its preparation takes half a second of CPU."""

from __future__ import annotations

from functools import cache

from simulators.renderer import Renderer


@cache
def shared_renderer() -> Renderer:
    """Return the same renderer to every test; it keeps nothing of what it renders."""
    return Renderer()
