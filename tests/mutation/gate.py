"""The scorer's verdicts and what delivery lets through: the gate, retention, webhooks."""

from __future__ import annotations

from tests.mutation.catalogue import Mutation

_VERDICT = "services/scorer/domain/verdict.py"
_DECIDE = "services/delivery/domain/decide.py"
_SCORER = "tests/unit/scorer/test_domain.py"
_MAPPINGS = "tests/unit/scorer/test_mappings.py"
_DELIVERY = "tests/unit/delivery/test_domain.py"
_LINK_RULES = "tests/unit/delivery/test_link_rules.py"
_WEBHOOK_RULES = "tests/unit/delivery/test_webhook_rules.py"
_WEBHOOK_SCHEDULE = "tests/unit/delivery/test_webhook_schedule.py"
_SERVICE = "tests/unit/delivery/test_service.py"
_DISABLED_ENDPOINTS = "tests/unit/delivery/test_disabled_endpoints.py"
_EARLY = "tests/unit/delivery/test_early_finishing.py"
_NOTED = "tests/unit/delivery/test_noted_outputs.py"
_QUESTIONS = "tests/unit/delivery/test_questions.py"

MUTATIONS = (
    Mutation(
        "scorer: a score at its threshold fails",
        _VERDICT,
        "passed=score is not None and score >= rule.threshold",
        "passed=score is not None and score > rule.threshold",
        (f"{_MAPPINGS}::test_a_score_at_its_threshold_passes_and_the_next_below_does_not",),
    ),
    Mutation(
        "scorer: evidence at the minimum is too little",
        _VERDICT,
        "not shown >= guard.minimum",
        "not shown > guard.minimum",
        (f"{_MAPPINGS}::test_evidence_at_the_minimum_of_a_guard_is_enough",),
    ),
    Mutation(
        "scorer: a failed dimension passes",
        _VERDICT,
        "passed=not failed,",
        "passed=True,",
        (f"{_SCORER}::test_candidate_passes_only_when_every_required_dimension_was_taken_and_reached",),
    ),
    Mutation(
        "scorer: what could not be measured is not required",
        _VERDICT,
        "required=rule.required and status not in rule.excuses",
        "required=rule.required and status is MeasureStatus.ok",
        (f"{_SCORER}::test_required_dimension_fails_when_it_could_not_be_taken_even_with_a_raw_value",),
    ),
    Mutation(
        "scorer: a guard without evidence lets through",
        _VERDICT,
        "if not isinstance(shown, int | float) or not shown >= guard.minimum:",
        "if isinstance(shown, int | float) and not shown >= guard.minimum:",
        (f"{_MAPPINGS}::test_guard_never_lets_a_value_through_without_enough_evidence",),
    ),
    Mutation(
        "scorer: a rule that cannot be decided passes",
        _VERDICT,
        "passed=holds is True,",
        "passed=holds is not False,",
        (f"{_SCORER}::test_custom_rule_passes_only_when_it_is_true",),
    ),
    Mutation(
        "scorer: an event id without the model set",
        "services/scorer/bus.py",
        "            hashlib.sha256(json.dumps(event.models, sort_keys=True).encode()).hexdigest(),\n",
        "",
        ("tests/unit/scorer/test_bus.py::test_another_model_set_profile_or_scorer_gives_another_event_id",),
    ),
    Mutation(
        "scorer: an event id without the profile",
        "services/scorer/bus.py",
        "            event.profile_sha256,\n",
        "",
        ("tests/unit/scorer/test_bus.py::test_another_model_set_profile_or_scorer_gives_another_event_id",),
    ),
    Mutation(
        "scorer: scores other bytes than announced",
        "services/scorer/app/scoring.py",
        "if hashlib.sha256(content).hexdigest() != stored.sha256:",
        "if not content:",
        (
            "tests/unit/scorer/test_app.py::test_score_chunk_fails_only_the_candidate_whose_bytes_are_not_the_announced_ones",
        ),
    ),
    Mutation(
        "scorer: passes over a chunk while the store is away",
        "services/scorer/bus.py",
        "return Consumed(record.offset, seek=True)",
        "continue",
        (
            "tests/unit/scorer/test_bus.py::test_handle_reads_again_when_the_store_is_down_without_counting_a_failure",
        ),
    ),
    Mutation(
        "delivery: all work begins before the commit, webhooks too",
        "services/delivery/app/reconciler.py",
        "self._start(state, wanted_before_commit(state))",
        "self._start(state, wanted(state))",
        (f"{_EARLY}::test_a_webhook_is_not_sent_before_its_attempt_is_committed",),
    ),
    Mutation(
        "delivery: the result of finishing does not wait for the note of what was stored",
        "services/delivery/app/finishing.py",
        "            await noting\n",
        "",
        (f"{_NOTED}::test_nothing_is_delivered_that_is_not_noted",),
    ),
    Mutation(
        "delivery: objects of a later try are swept by the time of the first",
        "services/delivery/app/finishing.py",
        "if keys.stored_again:",
        "if not keys:",
        (f"{_NOTED}::test_objects_that_are_stored_at_a_later_try_are_noted_again_after_it",),
    ),
    Mutation(
        "delivery: delivers more than K",
        _DECIDE,
        "return list(kept.values())[: selection.k]",
        "return list(kept.values())",
        (
            f"{_DELIVERY}::test_no_more_than_k_are_delivered_and_charged_however_many_were_selected_and_finished",
        ),
    ),
    Mutation(
        "delivery: delivers the worse of what was selected",
        _DECIDE,
        "chosen = sorted(selection.selected, key=lambda candidate: candidate.rank)",
        "chosen = list(selection.selected)",
        (
            f"{_DELIVERY}::test_no_more_than_k_are_delivered_and_charged_however_many_were_selected_and_finished",
        ),
    ),
    Mutation(
        "delivery: delivers what was not selected",
        _DECIDE,
        "kept = {top.candidate_id: finished[top.candidate_id] for top in chosen if top.candidate_id in finished}",
        "kept = finished",
        (f"{_DELIVERY}::test_an_output_of_a_candidate_that_was_not_selected_is_not_delivered",),
    ),
    Mutation(
        "delivery: charges more than was reserved",
        _DECIDE,
        "return min(price, selection.reserved_credits_micro)",
        "return price",
        (f"{_DELIVERY}::test_a_charge_never_exceeds_what_was_reserved",),
    ),
    Mutation(
        "delivery: ends twice",
        _DECIDE,
        "if selection is None or state.end is not None:",
        "if selection is None:",
        (
            f"{_DELIVERY}::test_whatever_comes_in_whatever_order_a_task_ends_once_and_pays_for_deliveries_only",
        ),
    ),
    Mutation(
        "delivery: another service ends what is ours to end",
        _DECIDE,
        "if state.is_finishing or (state.end is not None and state.end.event_id is not None):",
        "if state.end is not None and state.end.event_id is not None:",
        (f"{_WEBHOOK_RULES}::test_an_end_by_another_service_is_ignored_while_the_end_is_ours_to_give",),
    ),
    Mutation(
        "delivery: delivers bytes that were changed",
        "services/delivery/clients/images.py",
        "if not is_intact(content, stored):",
        "if len(content) != stored.size_bytes:",
        (f"{_SERVICE}::test_changed_bytes_and_missing_or_broken_objects_are_not_delivered",),
    ),
    Mutation(
        "retention: outputs stay linked",
        "services/delivery/domain/outputs.py",
        "return now < ended_at + timedelta(seconds=retention_s)",
        "return now > ended_at - timedelta(seconds=retention_s)",
        (f"{_QUESTIONS}::test_outputs_past_their_retention_are_deleted_and_not_linked",),
    ),
    Mutation(
        "retention: objects are forgotten and not deleted",
        "services/delivery/app/outputs.py",
        "            await self._files.delete(self._bucket, keys)\n",
        "",
        (f"{_QUESTIONS}::test_outputs_past_their_retention_are_deleted_and_not_linked",),
    ),
    Mutation(
        "retention: outputs go before their time",
        "services/delivery/app/outputs.py",
        "before = self._clock.now() - timedelta(seconds=self._retention_s)",
        "before = self._clock.now() + timedelta(seconds=self._retention_s)",
        (f"{_QUESTIONS}::test_outputs_past_their_retention_are_deleted_and_not_linked",),
    ),
    Mutation(
        "retention: a link lives longer than allowed",
        "services/delivery/domain/outputs.py",
        "if not 1 <= asked_s <= LINK_MAX_S:",
        "if not asked_s:",
        (f"{_LINK_RULES}::test_a_link_that_would_live_too_long_is_refused",),
    ),
    Mutation(
        "webhooks: an attempt comes early",
        "services/delivery/domain/schedule.py",
        "scheduled = schedule_s[step] * (1_000_000 + jitter_ppm(delivery_id, number)) / 1_000_000",
        "scheduled = schedule_s[step] * (1_000_000 - jitter_ppm(delivery_id, number)) / 1_000_000",
        (f"{_WEBHOOK_SCHEDULE}::test_the_schedule_grows_and_no_attempt_is_early",),
    ),
    Mutation(
        "webhooks: a schedule never ends",
        "services/delivery/domain/schedule.py",
        "    if step >= len(schedule_s):\n        return None\n    scheduled = schedule_s[step]",
        "    scheduled = schedule_s[min(step, len(schedule_s) - 1)]",
        (
            f"{_WEBHOOK_SCHEDULE}::test_a_failing_endpoint_gets_the_whole_schedule_then_is_exhausted_and_can_be_sent_again",
        ),
    ),
    Mutation(
        "webhooks: a redirect counts as accepted",
        "services/delivery/domain/schedule.py",
        "if 200 <= status < 300:",
        "if 200 <= status < 400:",
        (f"{_WEBHOOK_SCHEDULE}::test_a_status_is_read_as_the_standard_says",),
    ),
    Mutation(
        "webhooks: Retry-After without a bound",
        "services/delivery/domain/schedule.py",
        "float(min(retry_after_s, RETRY_AFTER_MAX_S))",
        "float(retry_after_s)",
        (f"{_WEBHOOK_SCHEDULE}::test_retry_after_is_honoured_for_throttling_up_to_a_day",),
    ),
    Mutation(
        "webhooks: an endpoint never wears out",
        "services/delivery/domain/endpoints.py",
        "now - endpoint.failing_since >= FAILING_MAX",
        "now - endpoint.failing_since >= 1000 * FAILING_MAX",
        (f"{_WEBHOOK_SCHEDULE}::test_an_endpoint_is_worn_out_after_five_days_of_failure",),
    ),
    Mutation(
        "webhooks: a disabled endpoint is told",
        "services/delivery/app/webhooks.py",
        "if endpoint is None or not endpoint.enabled or endpoint.account_id != state.account_id:",
        "if endpoint is None or endpoint.account_id != state.account_id:",
        (f"{_DISABLED_ENDPOINTS}::test_a_disabled_endpoint_gets_nothing_more",),
    ),
)
