"""Bugs put into the real code on purpose, in this process only: the simulation must find each of them.

``python -m tests.simulation.mutations`` prints mutation, seeds needed, and the promise that broke.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from aiokafka import TopicPartition

from services.delivery.app.reconciler import Reconciler
from services.delivery.domain import decide as delivery_decide
from services.ledger.domain import decide as ledger_decide
from services.ledger.domain import reservation_end as ledger_reservation_end
from services.ledger.domain.account import Account, Ended, Slice
from services.ledger.domain.books import Subject, credit_postings
from services.router.app.attempts import AttemptRunner
from services.router.domain import attempt_results as router_attempt_results
from services.router.domain import rounds as router_rounds
from services.router.domain.run import CandidateState
from services.scorer.app import scoring as scorer_app
from services.scorer.domain import verdict as scorer_verdict
from tests.simulation.database import Storage
from tests.simulation.hashing import begin_fixed
from tests.simulation.light import staying
from tests.simulation.run import play
from tests.simulation.script import Fault, Kind, Script, script_of
from winnow.adapters.bus import Bus
from winnow.contracts.chart_of_accounts import REVENUE, available_of
from winnow.contracts.commands import SettleCredits
from winnow.contracts.events import TaskFunded
from winnow.contracts.ids import derive_id
from winnow.contracts.values import EntryKind
from winnow.eventstore import model as model_module
from winnow.eventstore import outbox as outbox_module
from winnow.eventstore import shard as shard_module
from winnow.eventstore.journal import Journal
from winnow.eventstore.mongo_store import MongoJournalStore
from winnow.eventstore.shard import ShardMemory
from winnow.eventstore.store import CommitResult

SEEDS_MAX = 150


@dataclass(frozen=True, slots=True)
class Mutation:
    """A bug: ``apply`` returns the patches that put it in; ``faults`` are put into each seed beside its own."""

    name: str
    apply: Callable[[], list[Any]]
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """After how many seeds a bug was found, and by which promise; 0 seeds: not found."""

    mutation: str
    seeds: int
    broken: str
    text: str


def hunt(mutation: Mutation, seeds_max: int = SEEDS_MAX) -> Found:
    """Play seeds on the broken code until a promise breaks."""
    with contextlib.ExitStack() as patched:
        for change in mutation.apply():
            patched.enter_context(change)
        patched.enter_context(staying())
        for seed in range(seeds_max):
            outcome = play(with_faults(script_of(seed), mutation.faults))
            if outcome.broken is not None:
                return Found(mutation.name, seed + 1, outcome.broken, outcome.text)
    return Found(mutation.name, 0, "", "")


def with_faults(script: Script, faults: tuple[Fault, ...]) -> Script:
    """Put further faults into a run."""
    return replace(script, faults=(*script.faults, *faults))


# The journal.


def _publish_before_insert() -> list[Any]:
    original = MongoJournalStore.insert

    async def insert(self: Any, blocks: Any) -> Any:
        for publisher in _PUBLISHERS.get(id(self), ()):
            for block in blocks:
                publisher.put(block)
        return await original(self, blocks)

    original_init = Journal.__init__

    def init(self: Any, decider: Any, store: Any, *args: Any, **kwargs: Any) -> None:
        original_init(self, decider, store, *args, **kwargs)
        _PUBLISHERS[id(store)] = (self._outbox,)

    return [patch.object(MongoJournalStore, "insert", insert), patch.object(Journal, "__init__", init)]


_PUBLISHERS: dict[int, tuple[Any, ...]] = {}


def _commit_offsets_first() -> list[Any]:
    original = Bus._on_batch

    async def on_batch(self: Any, msg: Any) -> None:
        last: dict[Any, int] = {}
        for record in msg.raw_message:
            last[TopicPartition(record.topic, record.partition)] = record.offset + 1
        with contextlib.suppress(Exception):
            await msg.consumer.commit(last)
        await original(self, msg)

    return [patch.object(Bus, "_on_batch", on_batch)]


def _drop_the_fence() -> list[Any]:
    async def results(self: Any, blocks: Any) -> Any:
        return {block.shard: CommitResult.committed for block in blocks}

    return [patch.object(MongoJournalStore, "_results_of", results)]


def _dedupe_window_too_small() -> list[Any]:
    original = Storage._keys_of

    def keys_of(self: Any, name: str, row: Any) -> Any:
        return () if name == "cause_once" else original(self, name, row)

    def remember(self: Any, decisions: Any) -> None:
        for decision in list(decisions)[-1:]:
            self._recent.clear()
            self._recent[decision.input_id] = decision.fingerprint

    return [patch.object(Storage, "_keys_of", keys_of), patch.object(ShardMemory, "remember", remember)]


def _lost_outbox_on_restart() -> list[Any]:
    async def unsent(self: Any, shard: str) -> list[Any]:
        return []

    return [patch.object(MongoJournalStore, "unsent", unsent)]


def _replay_skips_last_block() -> list[Any]:
    original = ShardMemory.replay

    def replay(self: Any, codec: Any, blocks: Any, loaded: Any) -> None:
        original(self, codec, list(blocks)[:-1], loaded)

    return [patch.object(ShardMemory, "replay", replay)]


def _wrong_order_per_key() -> list[Any]:
    original = outbox_module.Outbox._publish

    async def publish(self: Any, blocks: list[Any]) -> None:
        await original(self, [replace(block, decisions=block.decisions[::-1]) for block in blocks[::-1]])

    return [patch.object(outbox_module.Outbox, "_publish", publish)]


def _accept_stale_owners_write() -> list[Any]:
    original = MongoJournalStore.insert

    async def insert(self: Any, blocks: Any) -> Any:
        results = await original(self, blocks)
        return dict.fromkeys(results, CommitResult.committed)

    return [patch.object(MongoJournalStore, "insert", insert)]


def _mark_sent_before_acknowledged() -> list[Any]:
    async def publish(self: Any, blocks: list[Any]) -> None:
        for block in blocks:
            self.begin(block.shard, block.block_no)
            self._unmarked.add(block.shard)
        for block in blocks:
            for decision in block.decisions:
                for entry in decision.entries:
                    if entry.topic:
                        await self._send(entry)

    return [patch.object(outbox_module.Outbox, "_publish", publish)]


def _random_event_ids() -> list[Any]:
    serial = iter(range(10**9))

    def derived(prefix: Any, *parts: Any) -> str:
        return derive_id(prefix, *parts, next(serial))

    return [patch.object(shard_module, "derive_id", derived)]


def _hash_leaves_offsets_out() -> list[Any]:
    original = model_module.canonical

    def canonical(value: Any) -> bytes:
        return original({name: part for name, part in value.items() if name != "offsets"})

    return [patch.object(model_module, "canonical", canonical)]


# Money.


def _settle_twice() -> list[Any]:
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


def _reserve_ignored() -> list[Any]:
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


def _deliver_without_settle() -> list[Any]:
    original = delivery_decide._end_with

    def end_with(state: Any, selection: Any, outputs: Any, reason: str) -> Any:
        return [
            message
            for message in original(state, selection, outputs, reason)
            if not isinstance(message, SettleCredits)
        ]

    return [patch.object(delivery_decide, "_end_with", end_with)]


def _refund_more_than_charged() -> list[Any]:
    def slices(charged: Any, already: int, amount: int) -> Any:
        return (Slice(charged[0].grant_id, amount),) if charged else ()

    unlimited = property(lambda _: 10**12)
    return [
        patch.object(ledger_reservation_end, "refund_slices", slices),
        patch.object(Ended, "refundable_credits_micro", unlimited),
    ]


def _overspend() -> list[Any]:
    return [
        patch.object(Account, "available_credits_micro", lambda self, now: 10**12),
        patch.object(ledger_decide, "pin", _pin_anything),
    ]


def _pin_anything(account: Any, amount: int, now: Any) -> Any:
    grant = next(iter(account.grants), None)
    return (Slice(grant, amount),) if grant else ()


# The gate and the providers.


def _select_unscored() -> list[Any]:
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


def _unmeasured_is_a_pass() -> list[Any]:
    original = scorer_verdict.judge

    def judge(profile: Any, measured: Any, outcomes: Any = None) -> Any:
        return replace(original(profile, measured, outcomes), passed=True)

    return [patch.object(scorer_app, "judge", judge)]


def _submit_again_on_resume() -> list[Any]:
    async def resume(self: Any, work: Any) -> Any:
        return await self.submit(work)

    return [patch.object(AttemptRunner, "resume", resume)]


def _timed_out_is_unpaid() -> list[Any]:
    original = AttemptRunner._timed_out

    async def timed_out(self: Any, work: Any) -> Any:
        return replace(await original(self, work), actual_cost_usd_micro=0)

    return [patch.object(AttemptRunner, "_timed_out", timed_out)]


def _late_cost_is_dropped() -> list[Any]:
    return [patch.object(router_attempt_results, "correct_cost", lambda run, attempt, finished: ())]


def _work_not_resumed() -> list[Any]:
    return [patch.object(Reconciler, "loaded", lambda self, shard, states: None)]


_SLOW_PROVIDER = tuple(Fault("router.submit", nth, Kind.slow, 7.5) for nth in range(4))
"""Longer than an attempt may take, which drawn faults seldom are."""

MUTATIONS = (
    Mutation("publish before insert", _publish_before_insert),
    Mutation("commit offsets first", _commit_offsets_first),
    Mutation("drop the fence", _drop_the_fence),
    Mutation("dedupe window too small", _dedupe_window_too_small),
    Mutation("lost outbox on restart", _lost_outbox_on_restart),
    Mutation("replay skips last block", _replay_skips_last_block),
    Mutation("wrong order per key", _wrong_order_per_key),
    Mutation("accept stale owner's write", _accept_stale_owners_write),
    Mutation("marked sent before acknowledged", _mark_sent_before_acknowledged),
    Mutation("event ids not derived", _random_event_ids),
    Mutation("hash leaves the offsets out", _hash_leaves_offsets_out),
    Mutation("settle twice", _settle_twice),
    Mutation("reserve ignored", _reserve_ignored),
    Mutation("deliver without settle", _deliver_without_settle),
    Mutation("refund of more than charged", _refund_more_than_charged),
    Mutation("spend what is not there", _overspend),
    Mutation("select unscored", _select_unscored),
    Mutation("unmeasured is a pass", _unmeasured_is_a_pass),
    Mutation("submit again on resume", _submit_again_on_resume),
    Mutation("timed-out attempt unpaid", _timed_out_is_unpaid, _SLOW_PROVIDER),
    Mutation("late cost dropped", _late_cost_is_dropped),
    Mutation("work not resumed", _work_not_resumed),
)


def main() -> int:
    """Hunt every bug, or those whose name holds a word; return 1 when one is not found."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutations")
    parser.add_argument("word", nargs="?", default="")
    parser.add_argument("--seeds", type=int, default=SEEDS_MAX)
    options = parser.parse_args()
    missed = 0
    print(f"{'mutation':34} {'seeds':>5}  promise")
    for found in _all(options.word, options.seeds):
        missed += not found.seeds
        print(f"{found.mutation:34} {found.seeds or '—':>5}  {found.text[:110] or 'NOT FOUND'}", flush=True)
    return int(missed > 0)


def _all(word: str, seeds: int) -> Iterator[Found]:
    for mutation in MUTATIONS:
        if word in mutation.name:
            yield hunt(mutation, seeds)


if __name__ == "__main__":
    begin_fixed("tests.simulation.mutations")
    sys.exit(main())
