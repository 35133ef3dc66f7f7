"""Ingest: keys, rates, idempotency, the read model, the end of what was never funded."""

from __future__ import annotations

from tests.mutation.catalogue import Mutation

_DOMAIN = "services/ingest/domain"
_KEYS = "tests/unit/ingest/test_keys.py"
_KEY_PROOFS = "tests/unit/ingest/test_key_proofs.py"
_RATES = "tests/unit/ingest/test_rates.py"
_FOLD = "tests/unit/ingest/test_domain.py"
_FUNDING_WORKFLOW = "tests/unit/ingest/test_funding_workflow.py"

MUTATIONS = (
    Mutation(
        "ingest: a bucket grows without bound while idle",
        f"{_DOMAIN}/limits.py",
        "tokens = min(tokens, grown)",
        "tokens = max(0.0, grown)",
        (f"{_RATES}::test_a_bucket_that_was_idle_holds_no_more_than_its_burst",),
    ),
    Mutation(
        "ingest: more than a whole token is asked for",
        f"{_DOMAIN}/limits.py",
        "allowed = tokens >= 1.0",
        "allowed = tokens > 1.0",
        (f"{_RATES}::test_a_whole_token_is_enough_and_less_is_not",),
    ),
    Mutation(
        "ingest: a revoked key works",
        f"{_DOMAIN}/keys.py",
        "if record.revoked_at is not None:",
        "if record.revoked_at is not None and record.revoked_at > now:",
        (f"{_KEYS}::test_a_record_proves_a_caller_only_while_it_holds",),
    ),
    Mutation(
        "ingest: a key works at the moment at which it ends",
        f"{_DOMAIN}/keys.py",
        "record.expires_at <= now",
        "record.expires_at < now",
        (f"{_KEYS}::test_a_record_proves_a_caller_only_while_it_holds",),
    ),
    Mutation(
        "ingest: a key's id is proof enough",
        f"{_DOMAIN}/keys.py",
        "if record is None or not proven:",
        "if record is None:",
        (f"{_KEYS}::test_a_record_proves_a_caller_only_while_it_holds",),
    ),
    Mutation(
        "ingest: a key with a typing error is looked up",
        f"{_DOMAIN}/keys.py",
        'return (key_id, secret) if hmac.compare_digest(_check(key_id, secret), match["check"]) else None',
        "return key_id, secret",
        (f"{_KEYS}::test_a_new_key_reads_back_and_no_changed_letter_does",),
    ),
    Mutation(
        "ingest: a key holds every scope",
        f"{_DOMAIN}/keys.py",
        "return scope in self.scopes",
        "return bool(self.scopes)",
        (f"{_KEY_PROOFS}::test_a_route_needs_its_scope",),
    ),
    Mutation(
        "ingest: an idempotency key takes any second order for the first",
        "services/ingest/app/orders.py",
        "if recorded.accepted is None or not is_same_order(form, self._catalogue, recorded.accepted):",
        "if recorded.accepted is None:",
        ("tests/unit/ingest/test_placing.py::test_place_refuses_another_body_under_the_same_key",),
    ),
    Mutation(
        "ingest: the task id forgets the account",
        f"{_DOMAIN}/orders.py",
        "return derive_id(Prefix.task, account_id, idempotency_key)",
        "return derive_id(Prefix.task, idempotency_key)",
        ("tests/unit/ingest/test_placing.py::test_place_gives_two_accounts_two_tasks_for_the_same_key",),
    ),
    Mutation(
        "ingest: the read model takes a record again",
        f"{_DOMAIN}/task_projection.py",
        "if offset <= before.offset:",
        "if offset < before.offset:",
        (f"{_FOLD}::test_the_fold_ignores_offsets_it_has_seen",),
    ),
    Mutation(
        "ingest: the read model counts a repeated event",
        f"{_DOMAIN}/task_projection.py",
        "if sequence and sequence <= view.sequences.get(source, 0):",
        "if sequence and sequence < view.sequences.get(source, 0):",
        (f"{_FOLD}::test_the_fold_counts_every_event_once_however_often_it_is_published",),
    ),
    Mutation(
        "ingest: a segment of candidates is as of no record",
        f"{_DOMAIN}/task_row.py",
        "return replace(earlier, offset=later.offset, candidates=candidates)",
        "return replace(earlier, candidates=candidates)",
        ("tests/unit/ingest/test_task_row.py::test_batches_of_any_size_keep_the_same_row_and_segments",),
    ),
    Mutation(
        "ingest: a candidate that left the row stays as it was",
        f"{_DOMAIN}/task_row.py",
        "return tail, [*_changes_in_segments(row, view, patches), *segments]",
        "return tail, segments",
        ("tests/unit/ingest/test_task_row.py::test_candidates_in_segments_change_with_the_view",),
    ),
    Mutation(
        "ingest: a partition that comes back is folded on from what was held before",
        "services/ingest/app/projection.py",
        "        self._held.pop(partition, None)",
        "        del partition",
        (
            "tests/unit/ingest/test_replicas.py::test_replicas_that_take_partitions_and_die_leave_what_a_rebuild_makes",
        ),
    ),
    Mutation(
        "ingest: a save waits for no other partition",
        "services/ingest/app/shared_save.py",
        "if self._waiting and len(self._waiting) >= self._expected - self._saving:",
        "if self._waiting:",
        ("tests/unit/ingest/test_shared_save.py::test_partitions_of_a_batch_are_saved_at_once",),
    ),
    Mutation(
        "ingest: ends a funded task",
        f"{_DOMAIN}/funding_workflow.py",
        "if state.phase in {Phase.funded, Phase.ended}:\n        return ()",
        "if state.phase is Phase.ended:\n        return ()",
        (f"{_FUNDING_WORKFLOW}::test_stages_end_a_task_at_most_once_and_never_a_funded_one",),
    ),
    Mutation(
        "ingest: ends a task twice",
        f"{_DOMAIN}/funding_workflow.py",
        "if state.phase in {Phase.funded, Phase.ended}:\n        return ()",
        "if state.phase is Phase.funded:\n        return ()",
        (f"{_FUNDING_WORKFLOW}::test_stages_end_a_task_at_most_once_and_never_a_funded_one",),
    ),
    Mutation(
        "ingest: waits for the ledger for ever",
        f"{_DOMAIN}/funding_workflow.py",
        "return state.deadline_at if waits else None",
        "return None",
        (f"{_FUNDING_WORKFLOW}::test_due_is_the_deadline_of_an_open_task_until_it_was_noticed",),
    ),
)
