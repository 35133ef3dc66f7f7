"""The record against the live state: folds the topics, and compares every task and balance with the services'."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import grpc
import grpc.aio
from rich.table import Table

from winnow.audit.accounts import AccountFold
from winnow.audit.finding import Finding
from winnow.audit.fold import RecordFold, TaskFold
from winnow.audit.newer import Reader
from winnow.audit.profiles import Profiles
from winnow.audit.records import TopicReader, TopicRecord, connected_consumer
from winnow.cli.answers import Task
from winnow.cli.audit_report import print_findings
from winnow.cli.client import Api
from winnow.cli.console import out
from winnow.cli.errors import CliError
from winnow.contracts.topics import ACCOUNTS, TASKS
from winnow.contracts.upcast import announced_version
from winnow.rpc.ledger.v1.ledger_pb2 import BalanceRequest
from winnow.rpc.ledger.v1.ledger_pb2_grpc import LedgerServiceStub

_TOPICS: Final = (TASKS.name, ACCOUNTS.name)
_LOOKS_MAX: Final = 10
_PAUSE_S: Final = 1.0
_GRPC_TIMEOUT_S: Final = 10.0
_PASSED: Final = ("passed", "selected", "set_aside", "delivered")


@dataclass(frozen=True, slots=True)
class LiveLine:
    """Addresses of the live line."""

    api: Api
    kafka: str
    ledger: str


async def compare_with_live(line: LiveLine, profiles: Profiles) -> None:
    """Fold the topics and compare; raises CliError when there is a fault or a difference."""
    live_tasks = LiveTasks(line.api)
    try:
        async with (
            connected_consumer(line.kafka) as consumer,
            grpc.aio.insecure_channel(line.ledger) as channel,
        ):
            those = TopicReader(consumer, _TOPICS)
            await those.begin()
            record = Record(those, profiles)
            await record.read_on()
            differences = await _settled_differences(record, live_tasks, Balances(channel, line.ledger))
    finally:
        await live_tasks.close()
        await line.api.close()
    derived = [*record.fold.findings(datetime.now(UTC)), *differences]
    findings = [*record.findings, *record.reader.judged(derived)]
    _print(record, findings)
    if findings:
        raise CliError(f"The audit found {len(findings)} faults.")
    if record.reader.notes():
        raise CliError("The audit did not check everything: a newer build wrote some of the record.")


class Record:
    """The two topics as far as they were read, folded."""

    def __init__(self, topics: TopicReader, profiles: Profiles) -> None:
        """Start with nothing; the topics were begun, and verdicts are judged by ``profiles``."""
        self._topics = topics
        self.fold = RecordFold(profiles)
        self.reader = Reader()
        self.findings: list[Finding] = []
        self.records_count = 0

    async def read_on(self) -> None:
        """Fold what lies between the last reading and the ends as they are now."""
        async for record in self._topics.read_on():
            self.records_count += 1
            self.take(record)

    def take(self, record: TopicRecord) -> None:
        """Fold a record; one of a newer build is noted, a broken one is a fault."""
        if not record.header("type"):
            return
        try:
            announced = announced_version(dict(record.headers))
            recorded = self.reader.read(record.header("type"), record.body, announced)
        except ValueError as error:
            place = f"{record.topic}/{record.partition}/{record.offset}"
            self.findings.append(Finding("readable", place, f"it cannot be read ({type(error).__name__})"))
            return
        if recorded is not None:
            self.fold.take(recorded)


async def _settled_differences(record: Record, live_tasks: LiveTasks, balances: Balances) -> list[Finding]:
    """Compare until nothing differs; a difference that stays while nothing new is recorded is one."""
    differences: list[Finding] = []
    for _ in range(_LOOKS_MAX):
        accounts = {task.account_id for task in record.fold.tasks.values()} | record.fold.accounts.keys()
        tasks = {task.id: task for account in sorted(accounts) for task in await live_tasks.of(account)}
        live_balances = {account: await balances.of(account) for account in record.fold.accounts}
        await record.read_on()
        differences = [
            *task_differences(record.fold.tasks, tasks),
            *balance_differences(record.fold.accounts, live_balances),
        ]
        if not differences:
            break
        await asyncio.sleep(_PAUSE_S)
    return differences


def task_differences(folded: Mapping[str, TaskFold], live: Mapping[str, Task]) -> Iterable[Finding]:
    """Compare every task of the record with the live one, and the other way round."""
    for task_id in sorted(live.keys() - folded.keys()):
        yield Finding("live task", task_id, "it is in the API and not in the record")
    for task_id, task in folded.items():
        shown = live.get(task_id)
        if shown is None:
            yield Finding("live task", task_id, "it is in the record and not in the API")
            continue
        pairs: list[tuple[str, object, object]] = [
            ("state", task.state.value if task.state else None, shown.state),
            ("outputs", len(task.delivered), shown.outputs_count),
            (
                "passed candidates",
                len(task.verdicts.passed),
                sum(shown.funnel.get(state, 0) for state in _PASSED),
            ),
        ]
        if task.settled and shown.settlement:
            bill, live_bill = task.settled[0], shown.settlement
            pairs += [
                (name, getattr(bill, f"{name}_credits_micro"), getattr(live_bill, f"{name}_credits_micro"))
                for name in ("reserved", "settled", "released")
            ]
        elif bool(task.settled) != bool(shown.settlement):
            pairs.append(("settled", bool(task.settled), bool(shown.settlement)))
        for name, recorded, shown_value in pairs:
            if recorded != shown_value:
                yield Finding(
                    "live task", task_id, f"{name}: the record gives {recorded}, the API {shown_value}"
                )


def balance_differences(
    folded: Mapping[str, AccountFold], live: Mapping[str, tuple[int, int]]
) -> Iterable[Finding]:
    """Compare every balance, as (available, held) in micro-credits."""
    for account_id, account in folded.items():
        recorded = account.available_credits_micro(), account.held_credits_micro()
        if recorded != live[account_id]:
            text = f"available and held: the record gives {recorded}, the ledger {live[account_id]}"
            yield Finding("live balance", account_id, text)


class LiveTasks:
    """The API's live answers, read with a key per account that is made for the audit and revoked after it."""

    def __init__(self, admin: Api) -> None:
        """Make keys as an administrator."""
        self._admin = admin
        self._readers: dict[str, Api] = {}
        self._key_ids: list[str] = []

    async def of(self, account_id: str) -> list[Task]:
        """Read all tasks of an account."""
        reader = self._readers.get(account_id)
        if reader is None:
            body = {"account_id": account_id, "scopes": ["tasks:read"], "label": "audit"}
            made = await self._admin.post("/v1/admin/keys", body)
            self._key_ids.append(made["key_id"])
            reader = self._readers[account_id] = Api(self._admin.url, made["key"])
        return [Task.model_validate(page) async for page in reader.pages("/v1/tasks", "tasks")]

    async def close(self) -> None:
        """Revoke the keys."""
        for reader in self._readers.values():
            await reader.close()
        for key_id in self._key_ids:
            await self._admin.delete(f"/v1/admin/keys/{key_id}")


class Balances:
    """The ledger's live answers."""

    def __init__(self, channel: grpc.aio.Channel, ledger_address: str) -> None:
        """Ask over a channel; the address is what a refusal names."""
        self._ledger = LedgerServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
        self._address = ledger_address

    async def of(self, account_id: str) -> tuple[int, int]:
        """Return what is available and what is held, in micro-credits."""
        try:
            answer = await self._ledger.Balance(
                BalanceRequest(account_id=account_id), timeout=_GRPC_TIMEOUT_S
            )
        except grpc.aio.AioRpcError as error:
            raise CliError(f"The ledger at {self._address} gave no balance ({error.code().name}).") from error
        return answer.available_credits_micro, answer.held_credits_micro


def _print(record: Record, findings: list[Finding]) -> None:
    fold = record.fold
    states = Counter(task.state.value if task.state else "never accepted" for task in fold.tasks.values())
    table = Table("what", "count", title="Audit", title_justify="left")
    for name, count in (
        ("records read", record.records_count),
        ("events", fold.events_count),
        ("repeats", fold.repeats_count),
        ("tasks", len(fold.tasks)),
        *((f"  {state}", count) for state, count in sorted(states.items())),
        ("accounts", len(fold.accounts)),
        ("entries", sum(len(account.entries) for account in fold.accounts.values())),
        ("faults and differences", len(findings)),
    ):
        table.add_row(name, str(count))
    out.print(table)
    for note in record.reader.notes():
        out.print(f"[yellow]Not checked:[/] {note}.")
    if not findings and not record.reader.notes():
        out.print("[bold green]The record is sound, and every task and balance equals it.[/]")
        return
    print_findings(findings)
