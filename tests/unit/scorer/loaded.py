"""The models of the test process: each network is loaded once, whoever asks for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from services.scorer.vision.model_set import Models


@cache
def loaded_models() -> Models:
    """Return the same models to every test; which pictures they saw changes no answer of theirs."""
    return Models()


def without_arena(make: Callable[[], Any]) -> Callable[[], Any]:
    """Return a maker of session options by which a network gives its workspace back after each run."""

    def made() -> Any:
        options = make()
        options.enable_cpu_mem_arena = False
        return options

    return made
