"""Makes the ledger's stores again from its journal: accounts, and the view of entries."""

from __future__ import annotations

from services.ledger.settings import LedgerSettings
from services.ledger.store import EntryView, LedgerMachine
from winnow.audit.rebuild import Given, run, workshop

STATES = ("state_2", "entities_2", "folds")
"""The collections of accounts and their entities, named by the format of an account's state."""
VIEW = ("entries", "entries_read_to")


async def rebuild(settings: LedgerSettings, given: Given) -> dict[str, int]:
    """Rebuild; return what was made. Raises what ``workshop`` raises, and BrokenChain."""
    async with workshop("ledger", settings, (*STATES, *VIEW), given) as shop:
        accounts = [len(states) async for states in shop.folded(LedgerMachine())]
        view = EntryView(shop.database, shards=settings.shards)
        await view.prepare()
        entries = [await view.catch_up(shard) for shard in shop.shards()]
    return {"accounts": sum(accounts), "entries": sum(entries)}


if __name__ == "__main__":
    run("ledger", LedgerSettings.load, rebuild)
