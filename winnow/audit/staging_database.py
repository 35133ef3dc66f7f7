"""Makes collections of a database anew beside the live collections, which stay until all is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

_PREFIX: Final = "rebuilt_"


class StagingDatabase:
    """A database that writes its named collections beside the live collections; other names stay live.

    Handed to a store in the place of its database. Every method raises the driver's errors.
    """

    def __init__(self, database: Any, names: Sequence[str], retired: Sequence[str] = ()) -> None:
        """Stage the collections ``names``; those of older builds, ``retired``, go when the others take their place."""
        self._database = database
        self._names = tuple(names)
        self._retired = tuple(retired)

    def __getitem__(self, name: str) -> Any:
        """Return a collection."""
        return self._database[_PREFIX + name if name in self._names else name]

    async def full(self) -> list[str]:
        """Name the live collections that hold something."""
        names = (*self._names, *self._retired)
        return [name for name in names if await self._database[name].find_one({}, {"_id": 1})]

    async def is_left_over(self) -> bool:
        """Return whether a run was interrupted: its collections still lie beside the live collections."""
        present = await self._database.list_collection_names()
        return any(_PREFIX + name in present for name in self._names)

    async def begin(self) -> None:
        """Make every collection empty, also after an interrupted run."""
        await self.drop()
        for name in self._names:
            await self._database.create_collection(_PREFIX + name)

    async def replace(self) -> None:
        """Put each collection, with its indexes, in the place of the live one.

        Each change is whole; stopped between two of them, the same rebuilding has to be done again.
        """
        for name in self._names:
            await self._database[_PREFIX + name].rename(name, dropTarget=True)
        for name in self._retired:
            await self._database.drop_collection(name)

    async def drop(self) -> None:
        """Drop what is not in place."""
        for name in self._names:
            await self._database.drop_collection(_PREFIX + name)
