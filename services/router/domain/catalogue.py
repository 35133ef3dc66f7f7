"""Catalogue of the router: offerings with their prices and limits, and the templates that use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final

from winnow.contracts.money import div_ceil
from winnow.contracts.values import Mode

PPM: Final = 1_000_000
"""Parts in one whole, for shares kept as integers."""

PIXELS_PER_MEGAPIXEL: Final = 1024 * 1024
"""So that a 1024 x 1024 picture is one megapixel, as providers bill it."""


class PriceUnit(StrEnum):
    """Unit of a price."""

    image = "image"
    megapixel = "megapixel"


class SelectionPolicy(StrEnum):
    """``best_k`` ranks a complete round; ``first_k`` stops at the K-th distinct pass."""

    best_k = "best_k"
    first_k = "first_k"


@dataclass(frozen=True, slots=True)
class Price:
    """A price in USD micro per unit, valid in ``[starts_on, ends_on)``; None leaves the end open."""

    price_usd_micro: int
    starts_on: date
    ends_on: date | None = None

    def holds_on(self, day: date) -> bool:
        """Return whether the price is valid on a day."""
        return self.starts_on <= day and (self.ends_on is None or day < self.ends_on)


@dataclass(frozen=True, slots=True)
class Traits:
    """Promises of a provider about its calls.

    ``cancel``: a running call can be cancelled. ``server_error_billed``: a 500 on submit may have been billed.
    """

    cancel: bool = False
    server_error_billed: bool = True


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Time and size limits of one attempt; every wait has one.

    Before ``slow_least_s`` no attempt counts as slow, however fast the others were.
    """

    connect_timeout_s: float = 5.0
    read_timeout_s: float = 30.0
    total_timeout_s: float = 120.0
    poll_interval_s: float = 0.5
    slow_least_s: float = 5.0
    image_max_bytes: int = 33_554_432
    reply_max_bytes: int = 67_108_864


@dataclass(frozen=True, slots=True)
class Offering:
    """One model version at one provider.

    ``parameters`` go into every call; ``accepts`` names those a client may set, none of which may
    change the price.
    ``output_token_price_usd_micro`` turns the usage that a reply reports into its actual cost; 0
    where a provider reports none.
    """

    name: str
    provider: str
    model: str = ""
    model_version: str = ""
    capabilities: tuple[str, ...] = ()
    prices: tuple[Price, ...] = ()
    price_unit: PriceUnit = PriceUnit.image
    output_token_price_usd_micro: int = 0
    max_n: int = 1
    concurrency_limit: int = 1
    latency_prior_ms: int = 5_000
    success_prior_ppm: int = 950_000
    pass_prior_ppm: Mapping[str, int] = field(default_factory=dict)
    sizes: tuple[tuple[int, int], ...] = ()
    size_max: int = 1536
    hosts: tuple[str, ...] = ()
    parameters: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    accepts: tuple[str, ...] = ()
    traits: Traits = Traits()
    limits: CallLimits = CallLimits()
    retired_on: date | None = None
    replaced_by: str | None = None

    def is_retired_on(self, day: date) -> bool:
        """Return whether the provider has ended the model by that day."""
        return self.retired_on is not None and day >= self.retired_on

    def price_on(self, day: date, *, width: int, height: int) -> int | None:
        """Return the price of one image in USD micro; None when unknown on that day: not routable."""
        if self.is_retired_on(day):
            return None
        price = next((p.price_usd_micro for p in self.prices if p.holds_on(day)), None)
        if price is None or self.price_unit is PriceUnit.image:
            return price
        return price * div_ceil(width * height, PIXELS_PER_MEGAPIXEL)

    def makes(self, capability: str, *, width: int, height: int) -> bool:
        """Return whether it has the capability at this size."""
        if capability not in self.capabilities:
            return False
        if self.sizes:
            return (width, height) in self.sizes
        return max(width, height) <= self.size_max


@dataclass(frozen=True, slots=True)
class ModePolicy:
    """Trade of a mode between price and time.

    ``latency_price_usd_micro_per_s`` is what a second of latency is worth per image. ``spill_ppm`` bounds the
    price of a free offering over that of the best, when the best is busy (1_000_000 = the same price at most:
    wait). ``pinned`` uses one offering only, never another.
    """

    latency_price_usd_micro_per_s: int = 0
    spill_ppm: int = 2 * PPM
    pinned: bool = False
    offerings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoundPolicy:
    """Policy of a template for rounds and selection; pinned into a task when it is accepted.

    ``confidence_ppm`` is the wanted chance that a round suffices (docs/design.md#over-generation).
    ``duplicate_distance`` is the Hamming distance of 64-bit perceptual hashes up to which two
    candidates count as near-duplicates.
    """

    capability: str
    selection: SelectionPolicy = SelectionPolicy.best_k
    rounds_max: int = 3
    candidates_max: int = 240
    tries_max: int = 3
    confidence_ppm: int = 950_000
    pass_rate_prior_ppm: int = 600_000
    pass_rate_prior_weight: int = 8
    duplicate_distance: int = 10


@dataclass(frozen=True, slots=True)
class Template:
    """A versioned recipe, as far as the router needs it."""

    name: str
    version: int
    rounds: RoundPolicy
    modes: Mapping[Mode, ModePolicy]
    cost_cap_factor_ppm: int = 3 * PPM


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every offering and template that is known."""

    offerings: Mapping[str, Offering]
    templates: Mapping[tuple[str, int], Template]

    def template(self, name: str, version: int) -> Template | None:
        """Find a template version."""
        return self.templates.get((name, version))

    def capable(self, template: Template, mode: Mode, *, width: int, height: int) -> Sequence[Offering]:
        """List the offerings a template may use in a mode at a size, by name."""
        policy = template.modes.get(mode)
        if policy is None:
            return ()
        names = policy.offerings or tuple(sorted(self.offerings))
        return tuple(
            self.offerings[name]
            for name in names
            if name in self.offerings
            and self.offerings[name].makes(template.rounds.capability, width=width, height=height)
        )
