"""The models of the test process: each network is loaded once, whoever asks for it."""

from __future__ import annotations

from functools import cache

from services.scorer.vision.model_set import Models


@cache
def loaded_models() -> Models:
    """Return the same models to every test; which pictures they saw changes no answer of theirs."""
    return Models()
