"""Makes the ledger's stores again from its journal: accounts, and the view of entries."""

from __future__ import annotations

from services.ledger.settings import LedgerSettings
from services.ledger.store import EntryView, LedgerMachine
from winnow.audit.rebuild import STATES, run, workshop

VIEW = ("entries", "entries_read_to")


async def rebuild(settings: LedgerSettings, force: bool) -> dict[str, int]:  # noqa: FBT001 (the one option)
    """Rebuild; gives what was made. Raises RebuildRefused and BrokenChain."""
    async with workshop("ledger", settings, (*STATES, *VIEW), force=force) as shop:
        accounts = [len(states) async for states in shop.folded(LedgerMachine())]
        view = EntryView(shop.database, shards=settings.shards)
        await view.prepare()
        async with shop.journal() as journal:
            entries = [await view.catch_up(shard) for shard in await journal.shards()]
    return {"accounts": sum(accounts), "entries": sum(entries)}


if __name__ == "__main__":
    run("ledger", LedgerSettings.load, rebuild)
