"""Storage of the ledger: the view of entries for statements, and the price lists."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

from pydantic import BaseModel, ConfigDict, Field
from pymongo import UpdateOne
from pymongo.errors import PyMongoError

from services.ledger.domain.books import StatementEntry
from services.ledger.domain.prices import PriceList, PriceRule
from winnow.adapters.mongo import UNSYNCED, insert_new
from winnow.contracts.envelope import Instant
from winnow.contracts.errors import Unavailable
from winnow.contracts.events import EntryRecorded
from winnow.contracts.ids import shard_of
from winnow.contracts.money import Micro
from winnow.contracts.topics import REGISTRY
from winnow.contracts.upcast import UnknownVersion
from winnow.contracts.values import Mode
from winnow.eventstore import Block
from winnow.templates import TEMPLATES_FOLDER, parse, read_templates, read_yaml

if TYPE_CHECKING:
    from motor.motor_asyncio import AsyncIOMotorDatabase

PRICES_FOLDER: Final = Path(__file__).parent / "prices"
_BLOCKS_AT_ONCE: Final = 100
_ENTRIES_IN_BLOCK_MAX: Final = 1_000_000
"""A block holds at most 1,000 inputs, so its entries number far fewer; a place is block number and ordinal."""


class EntryView:
    """Entries by account, read from the journal's blocks: a view that can be dropped and is built again.

    Every write is idempotent and the view's place only grows, so any process may bring it up to date.
    """

    def __init__(self, database: AsyncIOMotorDatabase[Any], *, shards: int) -> None:
        """Use the database of the journal."""
        self._blocks = database["journal"]
        # The mark of how far was read follows, and takes along what is kept here.
        self._entries = database["entries"].with_options(write_concern=UNSYNCED)
        self._read_to = database["entries_read_to"]
        self._shards = shards
        self._one_at_a_time: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def prepare(self) -> None:
        """Create the index; may be repeated."""
        await self._entries.create_index([("account_id", 1), ("place", -1)], name="statement")

    async def page(self, account_id: str, *, limit: int, before: int | None) -> list[StatementEntry]:
        """Return entries of an account, newest first, up to the newest committed one; raises Unavailable."""
        query: dict[str, Any] = {"account_id": account_id}
        if before is not None:
            query["place"] = {"$lt": before}
        try:
            await self.catch_up(str(shard_of(account_id, self._shards)))
            rows = await self._entries.find(query, sort=[("place", -1)], limit=limit).to_list(length=None)
        except PyMongoError as error:
            detail = "the store of the entries does not answer"
            raise Unavailable(detail) from error
        return [_statement_entry(row) for row in rows]

    async def catch_up(self, shard: str) -> int:
        """Read what the shard's journal has since; return the number of entries. Raises PyMongoError."""
        count = 0
        async with self._one_at_a_time[shard]:
            mark = await self._read_to.find_one({"_id": shard})
            read_to = int(mark["block_no"]) if mark else 0
            while True:
                query = {"shard": shard, "block_no": {"$gt": read_to}}
                rows = await self._blocks.find(query, sort=[("block_no", 1)], limit=_BLOCKS_AT_ONCE).to_list(
                    length=None
                )
                if not rows:
                    return count
                documents = [entry for row in rows for entry in _entries_of(Block.from_document(row))]
                read_to = rows[-1]["block_no"]
                await insert_new(self._entries, documents)
                step = UpdateOne({"_id": shard}, {"$max": {"block_no": read_to}}, upsert=True)
                await self._read_to.bulk_write([step])
                count += len(documents)


def _statement_entry(row: Mapping[str, Any]) -> StatementEntry:
    """Read a stored entry as its newest version; raises Unavailable for one that a newer build wrote."""
    try:
        recorded = REGISTRY.read(EntryRecorded.type_name(), json.dumps(row["recorded"]))
    except UnknownVersion as error:
        raise Unavailable(str(error)) from error
    return StatementEntry(
        row["place"], recorded.envelope.occurred_at, cast("EntryRecorded", recorded.message)
    )


def _entries_of(block: Block) -> Iterator[dict[str, Any]]:
    ordinal = 0
    for decision in block.decisions:
        for entry in decision.entries:
            if entry.type != EntryRecorded.type_name():
                continue
            document = entry.document()
            yield {
                "_id": document["entry_id"],
                "account_id": document["account_id"],
                "place": block.block_no * _ENTRIES_IN_BLOCK_MAX + ordinal,
                "recorded": document,
            }
            ordinal += 1


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
        msg = "the price lists have one version each, and there is at least one"
        raise ValueError(msg)
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
