"""A simulated MongoDB, as far as the stores use one: unique indexes, bulk writes, answers that get lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from pymongo import InsertOne, ReplaceOne, UpdateOne
from pymongo.errors import AutoReconnect, BulkWriteError, DuplicateKeyError
from pymongo.write_concern import WriteConcern

from tests.simulation.script import Kind
from tests.simulation.world import Process

_DUPLICATE = 11000


class Storage:
    """The rows of one collection, which outlive every process. Stored documents are never changed in place."""

    def __init__(self, inserted: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
        """Notify ``inserted`` of every row that is committed."""
        self._inserted = inserted
        self.rows: dict[str, dict[str, Any]] = {}
        self.unique: dict[str, tuple[str, ...]] = {}
        self._keys: dict[str, dict[tuple[Any, ...], str]] = defaultdict(dict)
        self._by_shard: dict[str, dict[str, None]] = defaultdict(dict)

    def insert(self, row: dict[str, Any]) -> None:
        row_id = row["_id"]
        if row_id in self.rows:
            raise DuplicateKeyError("_id", _DUPLICATE)
        wanted = [(name, key) for name in self.unique for key in self._keys_of(name, row)]
        if any(key in self._keys[name] for name, key in wanted):
            raise DuplicateKeyError("unique", _DUPLICATE)
        for name, key in wanted:
            self._keys[name][key] = row_id
        self._put(row_id, row)
        self._inserted(row)

    def _put(self, row_id: str, row: dict[str, Any]) -> None:
        self.rows[row_id] = row
        if "shard" in row:
            self._by_shard[row["shard"]][row_id] = None

    def _keys_of(self, name: str, row: dict[str, Any]) -> Iterable[tuple[Any, ...]]:
        """Return a row's keys in a unique index; a list gives a key for each of its values."""
        keys: list[tuple[Any, ...]] = [()]
        for field in self.unique[name]:
            value = row.get(field)
            values = value if isinstance(value, list) else [value]
            keys = [(*key, part) for key in keys for part in values]
        return keys

    def find(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        if len(query) == 1 and isinstance(row_id := query.get("_id"), str):
            return [self.rows[row_id]] if row_id in self.rows else []
        return [row for row in self._candidates(query) if matches(row, query)]

    def _candidates(self, query: dict[str, Any]) -> Iterable[dict[str, Any]]:
        by_id = query.get("_id")
        if isinstance(by_id, str):
            return [self.rows[by_id]] if by_id in self.rows else []
        if isinstance(by_id, dict) and "$in" in by_id:
            return [self.rows[row_id] for row_id in by_id["$in"] if row_id in self.rows]
        if "ids" in query:
            wanted = set(query["ids"]["$in"])
            return [row for row in self.rows.values() if not wanted.isdisjoint(row["ids"])]
        if "causes" in query:
            return self._by_cause(query)
        if "shard" in query:
            return [self.rows[row_id] for row_id in self._by_shard[query["shard"]]]
        return self.rows.values()

    def _by_cause(self, query: dict[str, Any]) -> Iterable[dict[str, Any]]:
        keys = self._keys["cause_once"]
        alone = self.unique["cause_once"] == ("causes",)
        wanted = [(cause,) if alone else (query["shard"], cause) for cause in query["causes"]["$in"]]
        return [self.rows[key] for key in dict.fromkeys(keys[key] for key in wanted if key in keys)]

    def update(self, query: dict[str, Any], change: dict[str, Any], *, upsert: bool = False) -> int:
        found = self.find(query)
        if not found and upsert:
            row = {name: value for name, value in query.items() if not isinstance(value, dict)}
            self.insert(changed(row, change, inserting=True))
        for row in found:
            self._put(row["_id"], changed(row, change, inserting=False))
        return len(found)

    def replace(self, query: dict[str, Any], row: dict[str, Any]) -> None:
        """Replace the row that the query finds, or insert; a row that is there but not found is a duplicate."""
        if self.find(query):
            self._put(row["_id"], row)
        else:
            self.insert(row)


def matches(row: dict[str, Any], query: dict[str, Any]) -> bool:
    """Return whether a row fits a query."""
    return all(_fits(row, name, wanted) for name, wanted in query.items())


def _fits(row: dict[str, Any], name: str, wanted: Any) -> bool:
    if name == "$or":
        return any(matches(row, query) for query in wanted)
    value = row.get(name)
    if isinstance(wanted, dict):
        return all(_compares(value, operator, bound) for operator, bound in wanted.items())
    return value == wanted or (isinstance(value, list) and wanted in value)


def _compares(value: Any, operator: str, bound: Any) -> bool:
    match operator:
        case "$in":
            return any(item in bound for item in value) if isinstance(value, list) else value in bound
        case "$ne":
            return value != bound and not (isinstance(value, list) and bound in value)
        case "$gt":
            return value is not None and value > bound
        case "$lt":
            return value is not None and value < bound
    msg = f"the simulated database has no {operator}"
    raise NotImplementedError(msg)


def changed(row: dict[str, Any], change: dict[str, Any], *, inserting: bool) -> dict[str, Any]:
    """Return a row after an update."""
    after = dict(row)
    for operator, fields in change.items():
        for name, value in fields.items():
            match operator:
                case "$set":
                    after[name] = value
                case "$setOnInsert":
                    after |= {name: value} if inserting else {}
                case "$max":
                    after[name] = max(after.get(name, value), value)
                case "$addToSet":
                    kept = list(after.get(name, ()))
                    after[name] = kept + [added for added in value["$each"] if added not in kept]
                case _:
                    msg = f"the simulated database has no {operator}"
                    raise NotImplementedError(msg)
    return after


class SimulatedDatabase:
    """A process's handle of a database."""

    def __init__(self, process: Process, storages: dict[str, Storage]) -> None:
        self._process = process
        self._storages = storages

    def __getitem__(self, name: str) -> SimulatedCollection:
        return SimulatedCollection(self._process, self._storages.setdefault(name, Storage()))


class SimulatedCollection:
    """The calls that the stores make; each may fail, or do its work and lose the answer."""

    def __init__(self, process: Process, storage: Storage) -> None:
        self._process = process
        self._storage = storage

    def with_options(self, *, write_concern: WriteConcern) -> SimulatedCollection:
        """Return the store itself: no simulated server loses what it acknowledged."""
        del write_concern
        return self

    async def create_index(
        self, keys: Sequence[tuple[str, int]], *, unique: bool = False, name: str = ""
    ) -> None:
        if unique:
            self._storage.unique[name] = tuple(field for field, _ in keys)

    async def insert_one(self, row: dict[str, Any]) -> None:
        await self._write("insert", lambda: self._storage.insert(dict(row)))

    async def insert_many(self, rows: Sequence[dict[str, Any]], *, ordered: bool) -> None:
        del ordered
        writes = [InsertOne(dict(row)) for row in rows]
        kind, _ = self._process.world.struck(self._process.service, "insert_many")
        if kind is Kind.half:
            # Some of the documents are in when the connection breaks; which were duplicates is not answered.
            with suppress(BulkWriteError):
                await self._write("insert", lambda: self._all(writes[: len(writes) // 2]))
            raise _away()
        await self._write("insert", lambda: self._all(writes))

    async def bulk_write(self, writes: Sequence[Any], *, ordered: bool = True) -> None:
        del ordered
        await self._write("save", lambda: self._all(writes))

    async def update_many(self, query: dict[str, Any], change: dict[str, Any]) -> None:
        await self._write("mark_sent", lambda: self._storage.update(query, change))

    async def update_one(
        self, query: dict[str, Any], change: dict[str, Any], *, upsert: bool = False
    ) -> SimpleNamespace:
        count = await self._write("index", lambda: self._storage.update(query, change, upsert=upsert))
        return SimpleNamespace(matched_count=count)

    def find(self, query: dict[str, Any] | None = None, fields: Any = None, **options: Any) -> Cursor:
        del fields
        return Cursor(self, query or {}, options.get("sort"), options.get("limit", 0))

    async def find_one(self, query: dict[str, Any]) -> dict[str, Any] | None:
        rows = await self.read(query)
        return rows[0] if rows else None

    async def read(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        return await self._process.call("read", lambda: self._storage.find(query), _away, quick=True)

    async def _write(self, name: str, effect: Any) -> Any:
        return await self._process.call(name, effect, _away)

    def _all(self, writes: Sequence[Any]) -> None:
        errors = []
        for place, write in enumerate(writes):
            try:
                self._one(write)
            except DuplicateKeyError:
                errors.append({"index": place, "code": _DUPLICATE})
        if errors:
            raise BulkWriteError({"writeErrors": errors})

    def _one(self, write: Any) -> None:
        kind = type(write)
        if kind is InsertOne:
            self._storage.insert(write._doc)
        elif kind is ReplaceOne:
            self._storage.replace(write._filter, write._doc)
        elif kind is UpdateOne:
            self._storage.update(write._filter, write._doc, upsert=bool(write._upsert))
        else:
            msg = f"the simulated database has no {kind.__name__}"
            raise NotImplementedError(msg)


class Cursor:
    """Cursor of ``find``."""

    def __init__(self, collection: SimulatedCollection, query: dict[str, Any], sort: Any, limit: int) -> None:
        self._collection = collection
        self._query = query
        self._sort: list[tuple[str, int]] = list(sort or [])
        self._limit = limit

    def sort(self, field: str, direction: int) -> Cursor:
        self._sort = [(field, direction)]
        return self

    def limit(self, count: int) -> Cursor:
        self._limit = count
        return self

    async def to_list(self, length: int | None) -> list[dict[str, Any]]:
        del length
        rows = await self._collection.read(self._query)
        for field, direction in reversed(self._sort):
            rows = sorted(rows, key=lambda row: row[field], reverse=direction < 0)
        return rows[: self._limit] if self._limit else rows


def _away() -> Exception:
    return AutoReconnect("the simulated database does not answer")
