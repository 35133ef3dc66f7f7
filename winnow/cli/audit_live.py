"""The record against the live state: folds the topics, and compares every task and balance with the services'."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

import grpc
import grpc.aio
from rich.table import Table

from winnow.audit.books import Balance
from winnow.audit.finding import Finding
from winnow.audit.fold import RecordFold, TaskFold
from winnow.audit.profiles import Profiles
from winnow.audit.sources import TopicSource
from winnow.audit.verify import RecordJudge, Result, Verifier
from winnow.cli.answers import Task
from winnow.cli.audit_report import print_findings
from winnow.cli.client import Api
from winnow.cli.console import out
from winnow.cli.errors import CliError
from winnow.rpc.ledger.v1.ledger_pb2 import BalanceRequest
from winnow.rpc.ledger.v1.ledger_pb2_grpc import LedgerServiceStub

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
    judge, live_tasks = RecordJudge(profiles), LiveTasks(line.api)
    verifier = Verifier("live", judge)
    try:
        async with (
            TopicSource.at(line.kafka) as topics,
            grpc.aio.insecure_channel(line.ledger) as channel,
        ):
            read_on = partial(verifier.read, topics)
            await read_on()
            balances = Balances(channel, line.ledger)
            differences: list[Finding] = []
            for _ in range(_LOOKS_MAX):
                differences = await _differences(judge.fold, live_tasks, balances, read_on)
                if not differences:
                    break
                await asyncio.sleep(_PAUSE_S)
    finally:
        await live_tasks.close()
        await line.api.close()
    result = verifier.close(datetime.now(UTC))
    findings = [*result.findings, *judge.reader.judged(differences)]
    _print(result, judge.fold, findings)
    if findings:
        raise CliError(f"The audit found {len(findings)} faults.")
    if result.notes:
        raise CliError("The audit did not check everything: a newer build wrote some of the record.")


async def _differences(
    fold: RecordFold, live_tasks: LiveTasks, balances: Balances, read_on: Callable[[], Awaitable[int]]
) -> list[Finding]:
    """Ask the services, read on, then compare: a difference that stays while nothing new is recorded is a fault."""
    accounts = {task.account_id for task in fold.tasks.values()} | fold.entries.keys()
    tasks = {task.id: task for account in sorted(accounts) for task in await live_tasks.of(account)}
    live_balances = {account: await balances.of(account) for account in fold.entries}
    await read_on()
    return [*task_differences(fold.tasks, tasks), *balance_differences(fold.books().balances, live_balances)]


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
    folded: Mapping[str, Balance], live: Mapping[str, tuple[int, int]]
) -> Iterable[Finding]:
    """Compare every balance, as (available, held) in micro-credits."""
    for account_id, balance in folded.items():
        recorded = balance.available_credits_micro, balance.held_credits_micro
        if recorded != (shown := live.get(account_id)):
            text = f"available and held: the record gives {recorded}, the ledger {shown}"
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


def _print(result: Result, fold: RecordFold, findings: list[Finding]) -> None:
    states = Counter(task.state.value if task.state else "never accepted" for task in fold.tasks.values())
    table = Table("what", "count", title="Audit", title_justify="left")
    for name, count in (
        ("records read", sum(lane.items_count for lane in result.lanes)),
        ("events", fold.events_count),
        ("repeats", fold.repeats_count),
        ("tasks", len(fold.tasks)),
        *((f"  {state}", count) for state, count in sorted(states.items())),
        ("accounts", len(fold.entries)),
        ("entries", sum(len(entries) for entries in fold.entries.values())),
        ("faults and differences", len(findings)),
    ):
        table.add_row(name, str(count))
    out.print(table)
    for note in result.notes:
        out.print(f"[yellow]Not checked:[/] {note}.")
    if not findings and not result.notes:
        out.print("[bold green]The record is sound, and every task and balance equals it.[/]")
        return
    print_findings(findings)
