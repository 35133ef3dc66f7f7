"""Bugs of the services, put into the real code of this process only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

from services.delivery.app.reconciler import Reconciler
from services.delivery.domain import decide as delivery_decide
from services.ledger.domain import decide as ledger_decide
from services.ledger.domain import reservation_end as ledger_reservation_end
from services.ledger.domain.account import Account, Ended, Slice
from services.ledger.domain.books import Subject, credit_postings
from services.router.app.attempts import AttemptRunner
from services.router.app.router import Router
from services.router.domain import attempt_results as router_attempt_results
from services.router.domain import rounds as router_rounds
from services.router.domain.run import CandidateState
from services.scorer.app import scoring as scorer_app
from services.scorer.domain import verdict as scorer_verdict
from winnow.contracts.chart_of_accounts import REVENUE, available_of
from winnow.contracts.commands import SettleCredits
from winnow.contracts.events import TaskFunded
from winnow.contracts.values import EntryKind
from winnow.eventstore.committer import Committer


def settle_twice() -> list[Any]:
    original = delivery_decide._end_with

    def end_with(state: Any, selection: Any, outputs: Any, reason: str) -> Any:
        messages = original(state, selection, outputs, reason)
        again = [
            message.model_copy(update={"command_id": message.command_id[:-4] + "ffff"})
            for message in messages
            if isinstance(message, SettleCredits)
        ]
        return [*messages, *again]

    def after_end(draft: Any, command: Any, *, absorbed: int) -> None:
        account_id, hold = command.account_id, command.reservation_id
        moves = [(available_of(account_id), -absorbed), (REVENUE, absorbed)]
        about = Subject(f"{hold}:again", command.reason, command.task_id, hold)
        draft.book(EntryKind.settle, absorbed, about, credit_postings(moves))

    return [
        patch.object(delivery_decide, "_end_with", end_with),
        patch.object(ledger_reservation_end, "_after_end", after_end),
    ]


def reserve_ignored() -> list[Any]:
    def reserve(draft: Any, command: Any, slices: Any) -> None:
        draft.add(
            TaskFunded(
                task_id=command.task_id,
                account_id=command.account_id,
                reservation_id=command.reservation_id,
                reserved_credits_micro=command.amount_credits_micro,
            )
        )

    return [patch.object(ledger_decide, "_hold", reserve)]


def deliver_without_settle() -> list[Any]:
    original = delivery_decide._end_with

    def end_with(state: Any, selection: Any, outputs: Any, reason: str) -> Any:
        return [
            message
            for message in original(state, selection, outputs, reason)
            if not isinstance(message, SettleCredits)
        ]

    return [patch.object(delivery_decide, "_end_with", end_with)]


def refund_more_than_charged() -> list[Any]:
    def slices(charged: Any, already: int, amount: int) -> Any:
        return (Slice(charged[0].grant_id, amount),) if charged else ()

    unlimited = property(lambda _: 10**12)
    return [
        patch.object(ledger_reservation_end, "refund_slices", slices),
        patch.object(Ended, "refundable_credits_micro", unlimited),
    ]


def overspend() -> list[Any]:
    return [
        patch.object(Account, "available_credits_micro", lambda self, now: 10**12),
        patch.object(ledger_decide, "pin", pin_anything),
    ]


def pin_anything(account: Any, amount: int, now: Any) -> Any:
    grant = next(iter(account.grants), None)
    return (Slice(grant, amount),) if grant else ()


def select_unscored() -> list[Any]:
    original = router_rounds.select

    def select(run: Any, k: int, policy: Any) -> Any:
        stored = {
            key: replace(candidate, state=CandidateState.passed)
            if candidate.stored is not None
            else candidate
            for key, candidate in run.candidates.items()
        }
        return original(replace(run, candidates=stored), k, policy)

    return [patch.object(router_rounds, "select", select)]


def unmeasured_is_a_pass() -> list[Any]:
    original = scorer_verdict.judge

    def judge(profile: Any, measured: Any, outcomes: Any = None) -> Any:
        return replace(original(profile, measured, outcomes), passed=True)

    return [patch.object(scorer_app, "judge", judge)]


def submit_again_on_resume() -> list[Any]:
    async def resume(self: Any, work: Any) -> Any:
        return await self.submit(work)

    return [patch.object(AttemptRunner, "resume", resume)]


def call_before_the_commit() -> list[Any]:
    original = Committer._commit_units

    async def commit_units(self: Any, units: Any, works: Any) -> Any:
        router = self.ownership.listener
        for unit in units.values() if isinstance(router, Router) else ():
            for decision in unit.decisions:
                state = unit.cached(decision.aggregate_id).state
                router.changed(decision.aggregate_id, state, unit.recorded[decision.input_id])
        return await original(self, units, works)

    return [patch.object(Committer, "_commit_units", commit_units)]


def timed_out_is_unpaid() -> list[Any]:
    original = AttemptRunner._timed_out

    async def timed_out(self: Any, work: Any) -> Any:
        return replace(await original(self, work), actual_cost_usd_micro=0)

    return [patch.object(AttemptRunner, "_timed_out", timed_out)]


def late_cost_is_dropped() -> list[Any]:
    return [patch.object(router_attempt_results, "correct_cost", lambda run, attempt, finished: ())]


def work_not_resumed() -> list[Any]:
    return [patch.object(Reconciler, "loaded", lambda self, shard, states: None)]
