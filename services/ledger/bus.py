"""Records that the ledger reads: its commands, each a cause for the account it names."""

from __future__ import annotations

from typing import Any, Final

from winnow.contracts.commands import LEDGER_COMMANDS
from winnow.contracts.envelope import Recorded
from winnow.contracts.topics import LEDGER_COMMAND_TOPIC, group_of
from winnow.runtime.bus import Bus
from winnow.runtime.journal import Cause, Journal
from winnow.runtime.lanes import JournalLanes, Table, cause_about


def _about_account(recorded: Recorded[Any], mark: str) -> Cause | None:
    return cause_about(recorded.message.account_id, recorded, mark)


TABLE: Final[Table] = {command.type_name(): _about_account for command in LEDGER_COMMANDS}


def subscribe(bus: Bus, journal: Journal[Any]) -> None:
    """Attach the journal to the topic of commands; partition n is shard n."""
    JournalLanes(journal, TABLE).subscribe(bus, LEDGER_COMMAND_TOPIC.name, group_of("ledger"))
