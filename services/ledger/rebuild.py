"""Makes the ledger's stores again from its journal: accounts, and the view of entries."""

from __future__ import annotations

from services.ledger.domain.decide import DECIDER
from services.ledger.settings import LedgerSettings
from services.ledger.store.entries import EntryView
from winnow.audit.rebuild import RebuildOptions, open_session, run

STATES = ("state_2", "entities_2", "folds")
"""The collections of accounts and their entities, named by the format of an account's state."""
VIEW = ("entries", "entries_read_to")


async def rebuild(settings: LedgerSettings, options: RebuildOptions) -> dict[str, int]:
    """Rebuild; return what was made. Raises what ``open_session`` raises, and BrokenChain."""
    async with open_session("ledger", settings, (*STATES, *VIEW), options) as session:
        accounts = [len(states) async for states in session.folded(DECIDER)]
        view = EntryView(session.database, shards=settings.shards)
        await view.prepare()
        entries = [await view.catch_up(shard) for shard in session.shards()]
    return {"accounts": sum(accounts), "entries": sum(entries)}


if __name__ == "__main__":
    run("ledger", LedgerSettings.load, rebuild)
