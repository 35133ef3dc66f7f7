"""The lean world: a catalogue of a certain offering, profiles that only ask for a picture, a provider of tiny pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import yaml

from winnow.templates import TEMPLATES_FOLDER

SIDE_PX: Final = 128
_CATALOGUE: Final = Path("services/router/catalogue")
_PROFILES: Final = Path("services/scorer/profiles")
_PROVIDER: Final = "openai"
"""Answers in one call with the picture inside, which is the least a provider can ask of the router."""
ORDER: Final = {"template": "product_shot", "mode": "low_cost", "k": 1, "prompt": "product"}
CREDITS: Final = 1_000_000


def lean_settings(folder: Path) -> dict[str, dict[str, str]]:
    """Write a catalogue of one certain offering and profiles that only ask for a picture; return the settings."""
    catalogue, profiles, templates = folder / "catalogue", folder / "profiles", folder / "templates"
    catalogue.mkdir()
    profiles.mkdir()
    document = yaml.safe_load((_CATALOGUE / "simulated.yaml").read_text())
    offering = next(listed for listed in document["offerings"] if listed["provider"] == _PROVIDER)
    offering |= {
        "concurrency_limit": 128,
        "pass_prior_ppm": {"product_shot": 1_000_000, "studio_headshot": 1_000_000},
        "success_prior_ppm": 1_000_000,
        "pinned_for": [],
    }
    (catalogue / "offerings.yaml").write_text(yaml.safe_dump({"offerings": [offering]}))
    templates.mkdir()
    for path in TEMPLATES_FOLDER.glob("*.yaml"):
        template = yaml.safe_load(path.read_text())
        template["rounds"]["pass_rate_prior_ppm"] = 1_000_000
        del template["modes"]["stable"]
        (templates / path.name).write_text(yaml.safe_dump(template))
    for path in _PROFILES.glob("*.yaml"):
        shipped = yaml.safe_load(path.read_text())
        profile = {
            "name": shipped["name"],
            "version": shipped["version"],
            "dimensions": [{"name": "decodable", "tier": 1, "mapping": {"exactly": 1}}],
        }
        (profiles / path.name).write_text(yaml.safe_dump(profile))
    return {
        "ingest": {"RATE_PER_SECOND": "100000", "RATE_BURST_COUNT": "1000000"},
        "router": {
            "CATALOGUE_FOLDER": str(catalogue),
            "TEMPLATES_FOLDER": str(templates),
            "ATTEMPTS_MAX": "256",
        },
        "scorer": {"PROFILES_DIR": str(profiles), "PROCESSES": "1"},
    }


def lean_profiles(folder: Path) -> dict[str, str]:
    """Write a profile of a provider that answers at once with tiny pictures."""
    profile = {
        "provider": _PROVIDER,
        "price_usd_micro": 3000,
        "concurrency": 1024,
        "pool_size": 32,
        "pool_side_px": SIDE_PX,
        "files_kept": 1000,
        "truth_kept": 1000,
    }
    path = folder / "instant-tiny.yaml"
    path.write_text(yaml.safe_dump(profile))
    return {_PROVIDER: str(path), "fal": "flawless-fal", "replicate": "flawless-replicate"}
