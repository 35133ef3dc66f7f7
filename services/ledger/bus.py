"""Records that the ledger reads: its commands, each an input for the account it names."""

from __future__ import annotations

from typing import Any, Final

from winnow.adapters.bus import Bus
from winnow.contracts.commands import LEDGER_COMMANDS
from winnow.contracts.envelope import RecordedMessage
from winnow.contracts.topics import LEDGER_COMMAND_TOPIC, group_of
from winnow.eventstore import Input, Journal
from winnow.eventstore.consumer import JournalConsumer, Table, input_about


def _about_account(recorded: RecordedMessage[Any], fingerprint: str) -> Input | None:
    return input_about(recorded.message.account_id, recorded, fingerprint)


TABLE: Final[Table] = {command.type_name(): _about_account for command in LEDGER_COMMANDS}


def subscribe(bus: Bus, journal: Journal[Any]) -> None:
    """Attach the journal to the topic of commands; partition n is shard n."""
    JournalConsumer(journal, TABLE).subscribe(bus, LEDGER_COMMAND_TOPIC.name, group_of("ledger"))
