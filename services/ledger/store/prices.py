"""Reads the price lists: when each holds, and the prices that the templates give for it."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from services.ledger.domain.prices import PriceList, PriceRule
from winnow.contracts.envelope import Instant
from winnow.contracts.money import Micro
from winnow.contracts.values import Mode
from winnow.templates import TEMPLATES_FOLDER, parse, read_templates, read_yaml

PRICES_FOLDER: Final = Path(__file__).parent.parent / "prices"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Price(_Strict):
    rule: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]
    price_credits_micro: Annotated[dict[Mode, Annotated[Micro, Field(gt=0)]], Field(min_length=1)]

    def to_rule(self, template: str = "", version: int = 0) -> PriceRule:
        return PriceRule(self.rule, self.price_credits_micro, template, version)


class _TemplatePrice(_Price):
    price_list: Annotated[int, Field(ge=1)]


class _Rule(_Price):
    template: Annotated[str, Field(min_length=1)]
    template_version: Annotated[int, Field(ge=1)]


class _List(_Strict):
    version: Annotated[int, Field(ge=1)]
    starts_at: Instant
    rules: list[_Rule] | None = None
    default: _Price


class _Part(_Strict):
    prices: list[_TemplatePrice]


def read_prices(
    folder: Path = PRICES_FOLDER, templates_folder: Path = TEMPLATES_FOLDER
) -> tuple[PriceList, ...]:
    """Read every ``*.yaml`` of a folder as a price list; raises ValueError for a file that is wrong or for none.

    A list without rules takes them from the templates, each of which has a price for it in every mode.
    """
    lists = {path.name: parse(path.name, _List, read_yaml(path)) for path in sorted(folder.glob("*.yaml"))}
    versions = [price_list.version for price_list in lists.values()]
    if not lists or len(set(versions)) != len(versions):
        raise ValueError("the price lists have one version each, and there is at least one")
    ruled = {file: _rules_of(file, given.rules) for file, given in lists.items() if given.rules is not None}
    open_versions = {given.version for given in lists.values() if given.rules is None}
    templates = _template_rules(templates_folder, open_versions) if open_versions else {}
    return tuple(
        PriceList(
            given.version,
            given.starts_at,
            ruled[file] if file in ruled else templates[given.version],
            given.default.to_rule(),
        )
        for file, given in lists.items()
    )


def _rules_of(file: str, rules: Sequence[_Rule]) -> tuple[PriceRule, ...]:
    named = [(rule.template, rule.template_version) for rule in rules]
    if len(set(named)) != len(named):
        msg = f"{file}: rules: two rules name the same template version"
        raise ValueError(msg)
    return tuple(rule.to_rule(rule.template, rule.template_version) for rule in rules)


def _template_rules(folder: Path, versions: AbstractSet[int]) -> dict[int, tuple[PriceRule, ...]]:
    """Return the rules of each price list as the templates have them."""
    rules: dict[int, list[PriceRule]] = {version: [] for version in versions}
    for file in read_templates(folder):
        prices = file.part(_Part).prices
        named = sorted(price.price_list for price in prices)
        if named != sorted(versions):
            msg = f"{file.file}: prices: the rows are of lists {named}, and the lists without rules are {sorted(versions)}"
            raise ValueError(msg)
        for number, price in enumerate(prices):
            if price.price_credits_micro.keys() != file.modes.keys():
                msg = f"{file.file}: prices.{number}.price_credits_micro: each mode of the template has a price, no other"
                raise ValueError(msg)
            rules[price.price_list].append(price.to_rule(file.name, file.version))
    return {version: tuple(each) for version, each in rules.items()}
