"""API keys, settings of accounts, and screened inputs in MongoDB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.ingest.domain.answers import Hint, ScreenedInput
from services.ingest.domain.keys import KeyRecord, Scope
from winnow.adapters.mongo import answering
from winnow.contracts.values import StoredObject

if TYPE_CHECKING:
    from motor.motor_asyncio import AsyncIOMotorDatabase

_LISTED_MAX = 1000


class MongoKeys:
    """API keys: ids and proofs, never secrets."""

    def __init__(self, database: AsyncIOMotorDatabase[Any]) -> None:
        """Use the collection ``keys``."""
        self._keys = database["keys"]

    async def prepare(self) -> None:
        """Create the index; may be repeated."""
        await self._keys.create_index([("account_id", 1), ("created_at", -1)], name="by_account")

    @answering()
    async def find(self, key_id: str) -> KeyRecord | None:
        """Return a key by its id."""
        row = await self._keys.find_one({"_id": key_id})
        return _key(row) if row else None

    @answering()
    async def add(self, record: KeyRecord) -> None:
        """Store a new key."""
        await self._keys.insert_one(_key_row(record))

    @answering()
    async def list(self, account_id: str | None) -> list[KeyRecord]:
        """Return the keys of an account, or all, newest first."""
        query = {} if account_id is None else {"account_id": account_id}
        rows = await self._keys.find(query, sort=[("created_at", -1)], limit=_LISTED_MAX).to_list(length=None)
        return [_key(row) for row in rows]

    @answering()
    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a key; says whether it exists. The first revocation's time stays."""
        await self._keys.update_one(
            {"_id": key_id, "revoked_at": None}, {"$set": {"revoked_at": at.isoformat()}}
        )
        return await self._keys.find_one({"_id": key_id}, {"_id": 1}) is not None


class MongoAccountSettings:
    """Settings of accounts, as operators set them."""

    def __init__(self, database: AsyncIOMotorDatabase[Any]) -> None:
        """Use the collection ``account_settings``."""
        self._settings = database["account_settings"]

    @answering()
    async def priority_max(self, account_id: str) -> int | None:
        """Return the highest priority the account may ask for; None when nobody has set it."""
        row = await self._settings.find_one({"_id": account_id})
        return int(row["priority_max"]) if row else None

    @answering()
    async def set_priority_max(self, account_id: str, priority_max: int) -> None:
        """Set it; the last one who does wins."""
        await self._settings.update_one(
            {"_id": account_id}, {"$set": {"priority_max": priority_max}}, upsert=True
        )


class MongoInputs:
    """Screened inputs by account."""

    def __init__(self, database: AsyncIOMotorDatabase[Any]) -> None:
        """Use the collection ``inputs``."""
        self._inputs = database["inputs"]

    @answering()
    async def add(self, screened: ScreenedInput) -> None:
        """Keep an accepted input; adding it again changes nothing."""
        row = {
            "account_id": screened.account_id,
            "stored": screened.stored.model_dump(mode="json"),
            "advice": list(screened.advice),
            "hints": [asdict(hint) for hint in screened.hints],
            "created_at": screened.created_at.isoformat(),
        }
        await self._inputs.update_one({"_id": screened.input_id}, {"$setOnInsert": row}, upsert=True)

    @answering()
    async def find(self, account_id: str, input_ids: Sequence[str]) -> dict[str, ScreenedInput]:
        """Return those inputs of the account that exist."""
        query = {"_id": {"$in": list(input_ids)}, "account_id": account_id}
        rows = await self._inputs.find(query).to_list(length=None)
        return {row["_id"]: _input(row) for row in rows}


def _key_row(record: KeyRecord) -> dict[str, Any]:
    return {
        "_id": record.key_id,
        "digest": record.digest,
        "account_id": record.account_id,
        "scopes": sorted(scope.value for scope in record.scopes),
        "label": record.label,
        "created_at": record.created_at.isoformat(),
        "expires_at": record.expires_at.isoformat() if record.expires_at else None,
        "revoked_at": record.revoked_at.isoformat() if record.revoked_at else None,
    }


def _key(row: dict[str, Any]) -> KeyRecord:
    return KeyRecord(
        key_id=row["_id"],
        digest=row["digest"],
        account_id=row["account_id"],
        scopes=frozenset(Scope(scope) for scope in row["scopes"]),
        label=row["label"],
        created_at=datetime.fromisoformat(row["created_at"]),
        expires_at=datetime.fromisoformat(row["expires_at"]) if row["expires_at"] else None,
        revoked_at=datetime.fromisoformat(row["revoked_at"]) if row["revoked_at"] else None,
    )


def _input(row: dict[str, Any]) -> ScreenedInput:
    return ScreenedInput(
        input_id=row["_id"],
        account_id=row["account_id"],
        stored=StoredObject.model_validate(row["stored"]),
        advice=tuple(row["advice"]),
        hints=tuple(Hint(**hint) for hint in row.get("hints", ())),
        created_at=datetime.fromisoformat(row["created_at"]),
    )
