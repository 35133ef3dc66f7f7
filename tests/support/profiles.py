"""The scorer's own profiles, read once per process."""

from __future__ import annotations

from functools import cache

from services.scorer.clients.profiles import BUILT_IN, ProfileCatalog, load_profiles
from services.scorer.clients.rules import CelRules


@cache
def built_in_profiles() -> ProfileCatalog:
    """Return the profiles that the scorer comes with."""
    return load_profiles(BUILT_IN, CelRules())
