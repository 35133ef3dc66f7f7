"""Reads the catalogue: the offerings file, and the router's part of the templates.

Unknown fields are refused: a misspelt limit must not be ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from services.router.domain.catalogue import (
    CallLimits,
    Catalogue,
    ModePolicy,
    Offering,
    Price,
    PriceUnit,
    RoundPolicy,
    Template,
    Traits,
)
from winnow.contracts.money import Micro
from winnow.contracts.values import Mode
from winnow.templates import TEMPLATES_FOLDER, TemplateFile, parse, read_templates, read_yaml

CATALOGUE_FOLDER: Final = Path(__file__).parent.parent / "catalogue"
OFFERINGS: Final = "offerings.yaml"
SIMULATED_OFFERINGS: Final = "simulated.yaml"
"""Beside ``OFFERINGS`` in the bundled folder: what the simulated providers make."""
_TEMPLATES_BEFORE: Final = "templates.yaml"
"""A file that catalogue folders held before each template had a file of its own."""

_FORMER_TRAITS: Final = frozenset({"is_async", "seed", "replayable_submit", "bills_on_cancel"})
"""Traits of older files that no rule reads; they are passed over."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Price(_Strict):
    price_usd_micro: Micro
    starts_on: date
    ends_on: date | None = None
    source: str = Field(default="", pattern=r"^(https://.+)?$")
    as_of: date | None = None


class _Offering(_Strict):
    name: str
    provider: str
    model: str
    model_version: str = ""
    capabilities: list[str] = Field(min_length=1)
    prices: list[_Price] = Field(min_length=1)
    price_unit: PriceUnit = PriceUnit.image
    output_token_price_usd_micro: Micro = 0
    max_n: int = Field(ge=1, le=64)
    concurrency_limit: int = Field(ge=1, le=10_000)
    latency_prior_ms: int = Field(default=5_000, ge=1)
    success_prior_ppm: int = Field(default=950_000, ge=0, le=1_000_000)
    pass_prior_ppm: dict[str, int] = Field(default_factory=dict)
    sizes: list[tuple[int, int]] = Field(default_factory=list)
    size_max: int = Field(default=1536, ge=64)
    hosts: list[str] = Field(default_factory=list)
    parameters: dict[str, bool | int | float | str] = Field(default_factory=dict)
    accepts: list[str] = Field(default_factory=list)
    traits: Traits = Traits()
    limits: CallLimits = CallLimits()
    retired_on: date | None = None
    replaced_by: str | None = None
    pinned_for: list[str] = Field(default_factory=list)

    @field_validator("traits", mode="before")
    @classmethod
    def _without_former_traits(cls, traits: object) -> object:
        if not isinstance(traits, dict):
            return traits
        return {name: value for name, value in traits.items() if name not in _FORMER_TRAITS}

    def offering(self) -> Offering:
        return Offering(
            name=self.name,
            provider=self.provider,
            model=self.model,
            model_version=self.model_version,
            capabilities=tuple(self.capabilities),
            prices=tuple(Price(p.price_usd_micro, p.starts_on, p.ends_on) for p in self.prices),
            price_unit=self.price_unit,
            output_token_price_usd_micro=self.output_token_price_usd_micro,
            max_n=self.max_n,
            concurrency_limit=self.concurrency_limit,
            latency_prior_ms=self.latency_prior_ms,
            success_prior_ppm=self.success_prior_ppm,
            pass_prior_ppm=self.pass_prior_ppm,
            sizes=tuple(self.sizes),
            size_max=self.size_max,
            hosts=tuple(self.hosts),
            parameters=self.parameters,
            accepts=tuple(self.accepts),
            traits=self.traits,
            limits=self.limits,
            retired_on=self.retired_on,
            replaced_by=self.replaced_by,
        )


class _Offerings(_Strict):
    offerings: list[_Offering]


class _Part(_Strict):
    modes: dict[Mode, ModePolicy]
    rounds: RoundPolicy


def read_catalogue(
    folder: Path = CATALOGUE_FOLDER,
    offerings_file: str = OFFERINGS,
    templates_folder: Path = TEMPLATES_FOLDER,
) -> Catalogue:
    """Return the catalogue of an offerings file and the templates; raises ValueError for a file that is wrong."""
    if (folder / _TEMPLATES_BEFORE).exists():
        msg = f"{_TEMPLATES_BEFORE} of a catalogue folder is not read: each template is a file of the templates folder"
        raise ValueError(msg)
    given = parse(offerings_file, _Offerings, read_yaml(folder / offerings_file)).offerings
    offerings = {entry.name: entry.offering() for entry in given}
    if len(offerings) != len(given):
        msg = f"{offerings_file}: two offerings have one name"
        raise ValueError(msg)
    files = read_templates(templates_folder)
    names = {file.name for file in files}
    for pinned in given:
        if unknown := set(pinned.pinned_for) - names:
            msg = (
                f"{offerings_file}: offering {pinned.name} is pinned for unknown templates: {sorted(unknown)}"
            )
            raise ValueError(msg)
    templates = [_template(file, given) for file in files]
    return Catalogue(offerings, {(template.name, template.version): template for template in templates})


def _template(file: TemplateFile, offerings: Sequence[_Offering]) -> Template:
    """Return a template whose pinned modes name their offerings; raises ValueError for a part that is wrong."""
    known = {offering.name for offering in offerings}
    pinned = tuple(offering.name for offering in offerings if file.name in offering.pinned_for)
    part = file.part(_Part)
    modes: dict[Mode, ModePolicy] = {}
    for mode, policy in part.modes.items():
        field = f"{file.file}: modes.{mode}"
        if unknown := set(policy.offerings) - known:
            msg = f"{field}.offerings: unknown offerings: {sorted(unknown)}"
            raise ValueError(msg)
        if policy.pinned and not policy.offerings and not pinned:
            msg = f"{field}.pinned: no offering is pinned for template {file.name}"
            raise ValueError(msg)
        is_pinned_by_offerings = policy.pinned and not policy.offerings
        modes[mode] = replace(policy, offerings=pinned) if is_pinned_by_offerings else policy
    return Template(file.name, file.version, part.rounds, modes, file.cost_cap_factor_ppm)
