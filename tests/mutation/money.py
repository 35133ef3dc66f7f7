"""The books: refunds, graces, entities, bounds, and what providers are owed."""

from __future__ import annotations

from tests.mutation.catalogue import Mutation

_LEDGER = "services/ledger/domain"
_DECIDE = "tests/unit/ledger/test_decide.py"
_REFUNDS = "tests/unit/ledger/test_refunds.py"
_RETIRED = "tests/unit/ledger/test_retired.py"
_ENTITIES = "tests/unit/eventstore/test_journal_entities.py"
_CRASHES = f"{_ENTITIES}::test_entities_are_what_the_journal_says_when_the_owner_dies_at_any_step"
_ENTRY_VIEW = "tests/integration/test_ledger_entries.py"
_ATTEMPTS = "tests/unit/router/test_attempts.py"
_RUN_ATTEMPTS = "tests/unit/router/test_run_attempts.py"
_CORRECTED = f"{_RUN_ATTEMPTS}::test_the_cost_of_an_attempt_that_is_out_at_selection_is_corrected_once"

MUTATIONS: list[Mutation] = [
    Mutation(
        "money: the view of entries counts blocks as kept before they are",
        "services/ledger/store/entries.py",
        "        await insert_new(self._followed, rows[:-1])\n"
        "        await insert_new(self._entries, rows[-1:])\n        self._kept_to = kept_to\n",
        "        self._kept_to = kept_to\n        await insert_new(self._followed, rows[:-1])\n"
        "        await insert_new(self._entries, rows[-1:])\n",
        (f"{_ENTRY_VIEW}::test_a_write_that_fails_is_made_again",),
    ),
    Mutation(
        "money: the view of entries skips a missing block",
        "services/ledger/store/entries.py",
        "if before is None or block.block_no > before + 1:",
        "if before is None:",
        (f"{_ENTRY_VIEW}::test_a_block_after_a_missing_one_is_not_kept",),
    ),
    Mutation(
        "money: a page of entries orders a part of a block",
        "services/ledger/store/entries.py",
        "        if len(kept) == limit:\n",
        "        if not limit:\n",
        (f"{_ENTRY_VIEW}::test_a_list_is_by_block_then_by_id_on_every_page",),
    ),
    Mutation(
        "money: a refund ignores its task",
        f"{_LEDGER}/reservation_end.py",
        "if ended is None or ended.task_id != command.task_id:\n        _refuse_refund(",
        "if ended is None:\n        _refuse_refund(",
        (f"{_REFUNDS}::test_refund_that_names_another_task_is_refused",),
    ),
    Mutation(
        "money: a refund is refused in silence",
        f"{_LEDGER}/reservation_end.py",
        "    builder.refuse(command, command.reservation_id, code, reason)\n    builder.add(\n        RefundRefused(",
        "    builder.refuse(command, command.reservation_id, code, reason)\n    (\n        RefundRefused(",
        (f"{_REFUNDS}::test_every_refund_has_one_outcome_that_others_see",),
    ),
    Mutation(
        "money: refunds have no end",
        f"{_LEDGER}/reservation_end.py",
        "if builder.now - ended.ended_at > REFUNDABLE_FOR:",
        "if builder.now - ended.ended_at > REFUNDABLE_FOR * 9:",
        (f"{_REFUNDS}::test_refund_is_refused_when_its_time_is_over",),
    ),
    Mutation(
        "money: a refund counts twice against its charge",
        f"{_LEDGER}/retired.py",
        "refunded = before.refunded_credits_micro + total(slices_of(event.returned))",
        "refunded = before.refunded_credits_micro + 2 * total(slices_of(event.returned))",
        (f"{_REFUNDS}::test_refunds_add_up_to_the_charge_at_most",),
    ),
    Mutation(
        "money: grace upon grace",
        f"{_LEDGER}/burn.py",
        "if not grant.is_expired(now) or grant.grace_of is not None:",
        "if not grant.is_expired(now):",
        (f"{_RETIRED}::test_what_comes_back_while_a_grace_lasts_joins_it",),
    ),
    Mutation(
        "money: every return to an expired grant opens a grace of its own",
        f"{_LEDGER}/burn.py",
        "    if grant.grace_id is None:\n"
        '        grace_id = derive_id(Prefix.grant, "grace", account.account_id, grant.grant_id)',
        "    if now:\n"
        '        grace_id = derive_id(Prefix.grant, "grace", account.account_id, grant.grant_id, str(now))',
        (f"{_RETIRED}::test_a_second_refund_after_the_grace_of_its_grant_does_not_lengthen_it_again",),
    ),
    Mutation(
        "money: a spent grant stays in the state",
        f"{_LEDGER}/decide.py",
        "for grant_id in idle[:_RETIRED_AT_ONCE]:",
        "for grant_id in idle[:0]:",
        (f"{_RETIRED}::test_a_spent_grant_leaves_the_state_and_a_refund_brings_it_back",),
    ),
    Mutation(
        "money: a grant that pays for an open reservation leaves the state",
        f"{_LEDGER}/decide.py",
        "        and not grant.held_credits_micro\n",
        "",
        (f"{_RETIRED}::test_a_spent_grant_leaves_the_state_and_a_refund_brings_it_back",),
    ),
    Mutation(
        "money: a retired grant is given again",
        f"{_LEDGER}/decide.py",
        "    return retired.grant if retired else None\n",
        "    return None if retired else None\n",
        (f"{_RETIRED}::test_a_grant_that_has_left_the_state_is_known_by_its_id",),
    ),
    Mutation(
        "money: an ended reservation's id is free again",
        f"{_LEDGER}/decide.py",
        "if reservation_id in account.open or builder.ended(reservation_id) is not None:",
        "if reservation_id in account.open:",
        (f"{_RETIRED}::test_an_ended_reservation_leaves_the_state_and_its_id_stays_taken",),
    ),
    Mutation(
        "money: pinned parts of grants are not bounded",
        f"{_LEDGER}/decide.py",
        "if account.pins_count + len(slices) > PINS_MAX:",
        "if len(slices) > PINS_MAX:",
        (f"{_RETIRED}::test_parts_of_grants_that_are_pinned_at_once_are_bounded",),
    ),
    Mutation(
        "money: grants are not bounded",
        f"{_LEDGER}/decide.py",
        "if len(builder.account.grants) >= GRANTS_MAX:",
        "if len(builder.account.grants) > GRANTS_MAX:",
        (f"{_RETIRED}::test_grants_at_once_are_bounded",),
    ),
    Mutation(
        "money: a cost variance is booked with the wrong sign",
        f"{_LEDGER}/reservation_end.py",
        "variance = command.actual_usd_micro - command.booked_usd_micro",
        "variance = command.booked_usd_micro - command.actual_usd_micro",
        (f"{_DECIDE}::test_a_cost_variance_makes_the_books_owe_what_the_attempt_cost",),
    ),
    Mutation(
        "money: the cost of an attempt that was out is not corrected",
        "services/router/domain/attempt_results.py",
        "[finished, *correct_cost(run, attempt, finished)]",
        "[finished]",
        (_CORRECTED,),
    ),
    Mutation(
        "money: costs that the bill already has are corrected too",
        "services/router/domain/attempt_results.py",
        "if run.phase is Phase.running or finished.actual_cost_usd_micro == attempt.cost_usd_micro:",
        "if finished.actual_cost_usd_micro == attempt.cost_usd_micro:",
        (f"{_RUN_ATTEMPTS}::test_the_cost_of_an_attempt_that_returns_in_time_stands_in_the_bill_alone",),
    ),
    Mutation(
        "money: an accepted attempt that times out is booked as unpaid",
        "services/router/app/attempts.py",
        'return AttemptEnd(OutcomeClass.collectable, HealthSignal.fault, "timed_out", running.reference)',
        'return AttemptEnd(OutcomeClass.collectable, HealthSignal.fault, "timed_out", running.reference, 0)',
        (f"{_ATTEMPTS}::test_an_accepted_attempt_that_times_out_is_booked_as_spent_unless_it_was_stopped",),
    ),
    Mutation(
        "money: an entity that the store has from a later block is folded again",
        "winnow/eventstore/entities.py",
        "            if stored is None or stored.block_no < self._block_no:",
        "            if stored is None or stored.block_no <= self._block_no:",
        (f"{_ENTITIES}::test_an_entity_that_was_saved_before_its_state_is_not_folded_twice",),
    ),
    Mutation(
        "money: a new owner folds no entities",
        "winnow/eventstore/shard.py",
        "            self.entities.update(overlay.changed)\n            self.remember",
        "            self.remember",
        (_CRASHES,),
    ),
    Mutation(
        "money: saved entities stay in memory",
        "winnow/eventstore/saving.py",
        "            if memory.entities.get(entity_id) is known:",
        "            if memory.entities.get(entity_id) is None:",
        (f"{_ENTITIES}::test_saved_entities_leave_memory_and_are_read_once_for_a_batch",),
    ),
]
