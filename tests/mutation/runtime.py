"""The journal's promises: once, in order, by one owner; and what is counted of the database."""

from __future__ import annotations

from tests.mutation.catalogue import Mutation

_JOURNAL_OFFSETS = "tests/unit/eventstore/test_journal_offsets.py"
_JOURNAL_OUTBOX = "tests/unit/eventstore/test_journal_outbox.py"
_JOURNAL_FOLLOW_UPS = "tests/unit/eventstore/test_journal_follow_ups.py"
_JOURNAL_SUBMIT = "tests/unit/eventstore/test_journal_submit.py"
_PACING = "tests/unit/adapters/test_pacing.py"
_FINAL_IDS = "tests/unit/eventstore/test_final_ids.py"
_NO_DECISION = f"{_FINAL_IDS}::test_no_decision_depends_on_which_states_are_stored"
_COUNTS = "tests/integration/test_database_calls.py"

MUTATIONS = (
    Mutation(
        "journal: decides offsets below its own again",
        "winnow/eventstore/work.py",
        "if offset < expected or input_ is None:",
        "if input_ is None:",
        (f"{_JOURNAL_OFFSETS}::test_a_record_below_the_journals_offset_is_not_decided_again",),
    ),
    Mutation(
        "journal: its offset goes back",
        "winnow/eventstore/work.py",
        "unit.offsets[source] = max(expected, self.records[-1][0] + 1)",
        "unit.offsets[source] = self.records[-1][0] + 1",
        (f"{_JOURNAL_OFFSETS}::test_a_record_below_the_journals_offset_is_not_decided_again",),
    ),
    Mutation(
        "journal: passes over a gap",
        "winnow/eventstore/work.py",
        "if first > expected and unit.sought.get(source) != expected:",
        "if first > expected + 1_000 and unit.sought.get(source) != expected:",
        (f"{_JOURNAL_OFFSETS}::test_consume_asks_to_seek_when_the_batch_starts_after_the_journal",),
    ),
    Mutation(
        "journal: passes over a failing record",
        "winnow/eventstore/work.py",
        "                unit.offsets[source] = offset\n                self.consumed = Consumed(offset, failed=error)",
        "                unit.offsets[source] = offset + 1\n                self.consumed = Consumed(offset + 1, failed=error)",
        (
            f"{_JOURNAL_OFFSETS}::test_a_failing_decision_stops_its_partition_there_and_spares_the_ones_before",
        ),
    ),
    Mutation(
        "journal: follows up in a shard that was given up",
        "winnow/eventstore/committer.py",
        "for shard, unit in units.items() if self.ownership.owns(shard)]",
        "for shard, unit in units.items()]",
        (f"{_JOURNAL_FOLLOW_UPS}::test_a_shard_that_was_given_up_has_no_follow_ups",),
    ),
    Mutation(
        "journal: forgets the follow-ups of a fenced block",
        "winnow/eventstore/committer.py",
        "            yield\n        finally:\n",
        "            yield\n        except BaseException:\n",
        (
            f"{_JOURNAL_FOLLOW_UPS}::test_a_fenced_follow_up_is_dropped_with_its_block_and_named_anew_from_what_stands",
        ),
    ),
    Mutation(
        "journal: takes the same input with another content",
        "winnow/eventstore/shard.py",
        "if known != input_.fingerprint:",
        "if not known:",
        (f"{_JOURNAL_SUBMIT}::test_a_record_with_the_same_cause_and_another_content_is_a_conflict",),
    ),
    Mutation(
        "journal: marks a block before all of it is on the bus",
        "winnow/eventstore/outbox.py",
        "        await asyncio.gather(*acknowledged)\n",
        "",
        (f"{_JOURNAL_OUTBOX}::test_nothing_counts_as_sent_before_the_bus_has_acknowledged_it",),
    ),
    Mutation(
        "journal: decides for another owner",
        "winnow/eventstore/consumer.py",
        "if input_ is not None and self._journal.shard_of(input_.aggregate_id) != shard:",
        "if input_ is not None and not self._journal.shard_of(input_.aggregate_id):",
        (
            "tests/unit/eventstore/test_journal_consumer.py::test_records_before_a_misplaced_one_are_decided_and_it_is_reported",
        ),
    ),
    Mutation(
        "journal: folds are noted past a state that waits for the next save",
        "winnow/eventstore/saving.py",
        "self.folded_to = memory.saved_to if self._waiting else block_no",
        "self.folded_to = block_no",
        (f"{_FINAL_IDS}::test_a_new_open_state_waits_for_the_second_save_that_is_due", _NO_DECISION),
    ),
    Mutation(
        "journal: the first blocks of a state that waited are not folded when it is final",
        "winnow/eventstore/saving.py",
        "after=memory.folded_to)",
        "after=memory.saved_to)",
        (f"{_FINAL_IDS}::test_a_new_open_state_waits_for_the_second_save_that_is_due", _NO_DECISION),
    ),
    Mutation(
        "journal: the id alone is kept of a state that was stored open",
        "winnow/eventstore/saving.py",
        "is_new = key not in memory.stored",
        "is_new = True",
        (f"{_FINAL_IDS}::test_a_state_that_was_stored_open_is_stored_when_it_is_final",),
    ),
    Mutation(
        "journal: the id alone is kept again of a state that a late input met",
        "winnow/eventstore/shard.py",
        "        memory.stored.update(self.changed.keys() & self._restored.keys())\n",
        "",
        (f"{_FINAL_IDS}::test_a_late_input_makes_a_state_that_is_stored", _NO_DECISION),
    ),
    Mutation(
        "runtime: a call starts for each who asks",
        "winnow/runtime/coalescer.py",
        "        if running is not None:\n            await asyncio.wait([running])\n",
        "        del running\n",
        ("tests/unit/runtime/test_coalescer.py::test_what_comes_meanwhile_shares_the_next_call",),
    ),
    Mutation(
        "database: reads are not counted",
        "winnow/adapters/mongo.py",
        "        metrics.DATABASE_CALLS.labels(name, collection).inc()\n        if name in _WRITES:\n",
        "        if name in _WRITES:\n            metrics.DATABASE_CALLS.labels(name, collection).inc()\n",
        (f"{_COUNTS}::test_reads_are_counted_with_every_further_batch",),
    ),
    Mutation(
        "database: an unchanged document counts as written",
        "winnow/adapters/mongo.py",
        'int(reply.get("nModified", 0))',
        'int(reply.get("n", 0))',
        (f"{_COUNTS}::test_a_bulk_is_a_call_for_each_kind_of_write_in_it",),
    ),
    Mutation(
        "bus: a partition that is held is read",
        "winnow/adapters/pacing.py",
        "consumer.resume(*(consumer.paused() - self.held))",
        "consumer.resume(*consumer.paused())",
        (f"{_PACING}::test_a_partition_that_is_held_at_rest_stays_so",),
    ),
    Mutation(
        "bus: a broker that polls is asked again and again at rest",
        "winnow/adapters/pacing.py",
        "timeout_ms = min(timeout_ms, self._fetch_wait_ms)",
        "timeout_ms = max(timeout_ms, self._fetch_wait_ms)",
        (f"{_PACING}::test_at_rest_the_broker_is_asked_once_a_rest",),
    ),
    Mutation(
        "bus: many requests at once are each read alone",
        "winnow/adapters/pacing.py",
        "many = self._requests_lately(now_s) >= BUSY_REQUESTS",
        "many = False",
        (f"{_PACING}::test_a_steady_trickle_of_many_requests_is_gathered",),
    ),
)
