"""The topics, and which topic and key a message goes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from winnow.contracts.commands import LEDGER_COMMANDS, SCORER_COMMANDS, LedgerCommand, ScoreCandidates
from winnow.contracts.envelope import Message
from winnow.contracts.events import ACCOUNT_EVENTS, TASK_EVENTS, EntryRecorded, RefundRefused, TaskEvent
from winnow.contracts.upcast import UPCASTERS, MessageRegistry

HOUR_S: Final = 3600
DAY_S: Final = 24 * HOUR_S


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic's card. Every topic has as many partitions as the deployment has shards.

    The broker keeps a record for ``retention_s``; what is ``archived`` is kept by the archive after that, without end.
    """

    name: str
    key: str
    holds: str
    written_by: tuple[str, ...]
    read_by: tuple[str, ...]
    retention_s: int
    message_max_bytes: int = 1_048_576
    archived: bool = False


TASKS: Final = Topic(
    "winnow.tasks.v1",
    "task_id",
    "every task state event; total order per task",
    ("ingest", "ledger", "router", "scorer", "delivery"),
    ("ingest", "router", "delivery", "audit"),
    retention_s=400 * DAY_S,
    archived=True,
)
ACCOUNTS: Final = Topic(
    "winnow.accounts.v1",
    "account_id",
    "every ledger entry, and every refund that the ledger refused",
    ("ledger",),
    ("ingest", "audit"),
    retention_s=400 * DAY_S,
    archived=True,
)
LEDGER_COMMAND_TOPIC: Final = Topic(
    "winnow.ledger.commands.v1",
    "account_id",
    "commands to the ledger",
    ("ingest", "router", "delivery"),
    ("ledger",),
    retention_s=30 * DAY_S,
)
SCORER_COMMAND_TOPIC: Final = Topic(
    "winnow.scorer.commands.v1",
    "chunk_id",
    "chunks of candidates to score, by object key",
    ("router",),
    ("scorer",),
    retention_s=7 * DAY_S,
)
TOPICS: Final = (TASKS, ACCOUNTS, LEDGER_COMMAND_TOPIC, SCORER_COMMAND_TOPIC)

CONSUMER_GROUPS: Final = {
    "ingest": (TASKS, ACCOUNTS),
    "ledger": (LEDGER_COMMAND_TOPIC,),
    "router": (TASKS,),
    "scorer": (SCORER_COMMAND_TOPIC,),
    "delivery": (TASKS,),
}
"""Consumer group → the topics it reads; the group is named ``winnow-<service>``."""

MESSAGES: Final[dict[str, type[Message]]] = {
    model.type_name(): model for model in (*TASK_EVENTS, *ACCOUNT_EVENTS, *LEDGER_COMMANDS, *SCORER_COMMANDS)
}
"""Wire type → model of the newest version, for every message that travels."""

REGISTRY: Final = MessageRegistry(MESSAGES.values(), UPCASTERS)
"""Reads every version of every message that travels."""

PRODUCERS: Final[dict[str, tuple[str, ...]]] = {
    "task.accepted": ("ingest",),
    "task.funded": ("ledger",),
    "task.unfunded": ("ledger",),
    "task.rejected": ("ingest",),
    "task.cancel_requested": ("ingest",),
    "round.planned": ("router",),
    "attempt.submitted": ("router",),
    "attempt.finished": ("router",),
    "candidates.generated": ("router",),
    "candidates.failed": ("router",),
    "candidates.scored": ("scorer",),
    "round.closed": ("router",),
    "task.selected": ("router",),
    "task.delivered": ("delivery",),
    "task.partially_delivered": ("delivery",),
    "task.failed": ("router", "delivery"),
    "task.cancelled": ("ingest", "router"),
    "task.settled": ("ledger",),
    "entry.recorded": ("ledger",),
    "refund.refused": ("ledger",),
    "GrantCredits": ("ingest",),
    "ReserveCredits": ("ingest",),
    "SettleCredits": ("delivery",),
    "ReleaseCredits": ("ingest", "router", "delivery"),
    "RefundCredits": ("ingest",),
    "BookCostVariance": ("router",),
    "ScoreCandidates": ("router",),
}
"""Wire type → the services that write it."""


def group_of(service: str) -> str:
    """Name the consumer group of a service."""
    return f"winnow-{service}"


def dead_letter_topic(topic: str, group: str) -> str:
    """Name the topic that holds what ``group`` could not read from ``topic``."""
    return f"{topic}.{group}.dlq"


def dead_letter_topics() -> tuple[str, ...]:
    """Name every dead-letter topic."""
    return tuple(
        dead_letter_topic(topic.name, group_of(service))
        for service, topics in CONSUMER_GROUPS.items()
        for topic in topics
    )


def route(message: Message) -> tuple[str, str] | None:
    """Return the topic and the key of a message; None for one that stays in its service's own journal."""
    match message:
        case TaskEvent():
            return TASKS.name, message.task_id
        case EntryRecorded() | RefundRefused():
            return ACCOUNTS.name, message.account_id
        case LedgerCommand():
            return LEDGER_COMMAND_TOPIC.name, message.account_id
        case ScoreCandidates():
            return SCORER_COMMAND_TOPIC.name, message.chunk_id
        case _:
            return None
