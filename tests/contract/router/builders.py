"""Offerings of the simulated providers, and the adapters that call them."""

from __future__ import annotations

from datetime import date
from typing import Any

from services.router.clients.fal import Fal
from services.router.clients.openai_images import OpenAIImages
from services.router.clients.replicate import Replicate
from services.router.clients.wire import Wire
from services.router.domain.catalogue import CallLimits, Offering, Price, Traits


def offering_of(provider: str, price_usd_micro: int = 3000, **changes: Any) -> Offering:
    traits = {
        "fal": Traits(cancel=True, server_error_billed=False),
        "replicate": Traits(cancel=True),
        "openai": Traits(),
    }
    models = {
        "fal": "fal-ai/flux/schnell",
        "replicate": "black-forest-labs/flux-dev",
        "openai": "gpt-image-1",
    }
    fields: dict[str, Any] = {
        "name": provider,
        "provider": provider,
        "model": models[provider],
        "capabilities": ("image.headshot",),
        "prices": (Price(price_usd_micro, date(2026, 1, 1)),),
        "max_n": 4,
        "concurrency_limit": 4,
        "pass_prior_ppm": {"t": 600_000},
        "traits": traits[provider],
        "parameters": {"output_format": "jpeg"},
        "limits": CallLimits(read_timeout_s=10, total_timeout_s=15, poll_interval_s=0.05),
        "output_token_price_usd_micro": 40 if provider == "openai" else 0,
    }
    return Offering(**(fields | changes))


def adapter(provider: str, wire: Wire, base_url: str) -> Any:
    match provider:
        case "fal":
            return Fal(wire, base_url, "dummy")
        case "replicate":
            return Replicate(wire, base_url, "dummy")
        case _:
            return OpenAIImages(wire, f"{base_url}/v1", "dummy")
