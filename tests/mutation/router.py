"""The router: deadlines, caps, retries, verdicts, health, prices, fair order."""

from __future__ import annotations

from tests.mutation.catalogue import Mutation

_DOMAIN = "services/router/domain"
_RUN = "tests/unit/router/test_run.py"
_RUN_DEADLINE = "tests/unit/router/test_run_deadline.py"
_ATTEMPTS = "tests/unit/router/test_run_attempts.py"
_HEALTH = "tests/unit/router/test_health.py"
_LEARNT_RATES = "tests/unit/router/test_learnt_rates.py"
_QUALITY_BREAKER = "tests/unit/router/test_quality_breaker.py"
_FOLLOW_UPS = "tests/contract/router/test_follow_ups.py"
_OFFERINGS = "tests/unit/router/test_offerings.py"
_CHOICE = "tests/unit/router/test_choice.py"

MUTATIONS = (
    Mutation(
        "router: a fenced owner keeps its slots",
        "services/router/app/dispatcher.py",
        "            self._pool.ended(batch.offering, HealthSignal.neutral)\n",
        "",
        (f"{_FOLLOW_UPS}::test_a_fenced_owner_that_had_planned_and_submitted_gives_its_slots_back",),
    ),
    Mutation(
        "router: a started attempt has no slot",
        "services/router/app/router.py",
        "                self.dispatcher.begun(message)\n",
        "",
        (f"{_FOLLOW_UPS}::test_without_a_free_slot_a_run_is_planned_alone_and_submitted_in_its_turn",),
    ),
    Mutation(
        "router: buys after the deadline",
        f"{_DOMAIN}/attempts.py",
        "now >= run.known_order.deadline_at:",
        "now >= run.known_order.deadline_at.replace(year=9999):",
        (f"{_RUN_DEADLINE}::test_nothing_is_bought_from_the_deadline_on",),
    ),
    Mutation(
        "router: buys at the deadline",
        f"{_DOMAIN}/attempts.py",
        "now >= run.known_order.deadline_at:",
        "now > run.known_order.deadline_at:",
        (f"{_RUN_DEADLINE}::test_nothing_is_bought_from_the_deadline_on",),
    ),
    Mutation(
        "router: takes scores for candidates outside the chunk",
        f"{_DOMAIN}/chunks.py",
        "if candidate.candidate_id in run.chunks[scored.chunk_id]",
        "if candidate.candidate_id in run.candidates",
        (f"{_RUN}::test_a_score_for_a_candidate_outside_its_chunk_counts_nothing",),
    ),
    Mutation(
        "router: a round is not closed at the deadline",
        f"{_DOMAIN}/rounds.py",
        "is_late = now >= order.deadline_at",
        "is_late = False",
        (f"{_RUN_DEADLINE}::test_nothing_is_bought_from_the_deadline_on",),
    ),
    Mutation(
        "router: selects what was not passed",
        f"{_DOMAIN}/rounds.py",
        "        if candidate.state is CandidateState.passed\n    ]",
        "        if candidate.stored is not None\n    ]",
        (f"{_RUN_DEADLINE}::test_the_deadline_delivers_what_has_passed",),
    ),
    Mutation(
        "router: a plan forgets what is spent",
        f"{_DOMAIN}/planning.py",
        "room = cap_usd_micro - committed_usd_micro",
        "room = cap_usd_micro",
        ("tests/unit/router/test_planning.py::test_what_is_affordable_stays_within_the_cap",),
    ),
    Mutation(
        "router: an unknown outcome is paid again",
        f"{_DOMAIN}/attempt_results.py",
        "        OutcomeClass.collectable,\n    }",
        "        OutcomeClass.collectable,\n        OutcomeClass.outcome_unknown,\n    }",
        (f"{_ATTEMPTS}::test_a_retried_class_returns_the_candidates_and_the_others_do_not",),
    ),
    Mutation(
        "router: an attempt ends twice",
        f"{_DOMAIN}/run.py",
        "return attempt is not None and attempt.outcome is None",
        "return attempt is not None",
        (f"{_ATTEMPTS}::test_an_attempt_ends_once",),
    ),
    Mutation(
        "router: tries without end",
        f"{_DOMAIN}/attempt_results.py",
        "and len(candidate.tried) + 1 < tries_max",
        "and tries_max",
        (f"{_ATTEMPTS}::test_tries_of_a_candidate_are_bounded",),
    ),
    Mutation(
        "router: look-alikes at the distance count as two",
        f"{_DOMAIN}/selection.py",
        "(bits ^ better_bits).bit_count() <= distance",
        "(bits ^ better_bits).bit_count() < distance",
        ("tests/unit/router/test_selection.py::test_look_alikes_at_the_distance_count_once",),
    ),
    Mutation(
        "router: selects one too many",
        f"{_DOMAIN}/selection.py",
        "if len(selected) < k:",
        "if len(selected) <= k:",
        ("tests/unit/router/test_selection.py::test_every_passed_candidate_has_exactly_one_fate",),
    ),
    Mutation(
        "router: what was tried is tried again first",
        f"{_DOMAIN}/choice.py",
        "elif offer.tried and has_untried:",
        "elif offer.tried and not has_untried:",
        (f"{_CHOICE}::test_what_was_tried_is_not_tried_again_while_another_is_only_busy",),
    ),
    Mutation(
        "router: buys above the price that the cap leaves",
        f"{_DOMAIN}/choice.py",
        "if price_max_usd_micro is not None and offer.price_usd_micro > price_max_usd_micro",
        "if price_max_usd_micro is not None and offer.price_usd_micro > 3 * price_max_usd_micro",
        (f"{_CHOICE}::test_above_the_price_the_cap_leaves_nothing_is_chosen",),
    ),
    Mutation(
        "router: a pinned mode falls back",
        f"{_DOMAIN}/choice.py",
        "priced = priced[:1]",
        "priced = priced[:2]",
        (f"{_CHOICE}::test_a_pinned_mode_never_uses_another",),
    ),
    Mutation(
        "router: sells on the day on which a model ends",
        f"{_DOMAIN}/catalogue.py",
        "return self.retired_on is not None and day >= self.retired_on",
        "return self.retired_on is not None and day > self.retired_on",
        (f"{_OFFERINGS}::test_a_retired_offering_has_no_price",),
    ),
    Mutation(
        "router: routes to a retired offering",
        f"{_DOMAIN}/catalogue.py",
        "        if self.is_retired_on(day):\n            return None\n",
        "",
        (f"{_OFFERINGS}::test_a_retired_offering_is_never_routed_to",),
    ),
    Mutation(
        "router: no warning of a retired offering",
        "services/router/metrics.py",
        "        if is_retired:",
        "        if is_retired and offering.replaced_by is None:",
        (f"{_OFFERINGS}::test_a_start_warns_of_an_offering_past_its_end",),
    ),
    Mutation(
        "router: a price holds a day too long",
        f"{_DOMAIN}/catalogue.py",
        "day < self.ends_on)",
        "day <= self.ends_on)",
        (f"{_OFFERINGS}::test_a_price_holds_from_its_start_until_its_end",),
    ),
    Mutation(
        "router: turns cost nothing",
        f"{_DOMAIN}/fair_order.py",
        "self.deficits[account] -= cost",
        "self.deficits[account] -= 0",
        ("tests/unit/router/test_fair_order.py::test_shares_are_of_cost_not_of_count",),
    ),
    Mutation(
        "router: waiting lifts nobody",
        f"{_DOMAIN}/fair_order.py",
        "return min(TIER_MAX, self.priority + int(max(0.0, self.waited_s) // AGEING_S))",
        "return min(TIER_MAX, self.priority)",
        (
            "tests/unit/router/test_fair_order.py::test_a_higher_tier_goes_first_and_waiting_lifts_a_lower_one",
        ),
    ),
    Mutation(
        "health: verdicts do not decay with newer ones",
        f"{_DOMAIN}/health.py",
        "decay = VERDICT_DECAY**scored",
        "decay = 1.0",
        (f"{_LEARNT_RATES}::test_the_weight_of_a_verdict_halves_after_34_newer_ones",),
    ),
    Mutation(
        "health: verdicts do not decay with time",
        f"{_DOMAIN}/health.py",
        "weight = exp2(-max(0.0, now_s - self.learnt_at_s) / VERDICT_HALF_LIFE_S)",
        "weight = exp2(0.0)",
        (f"{_LEARNT_RATES}::test_old_verdicts_weigh_half_for_a_choice_after_ten_minutes",),
    ),
    Mutation(
        "health: attempts do not fade",
        f"{_DOMAIN}/health.py",
        "        successes=health.successes * VERDICT_DECAY + 1.0,\n        attempts=health.attempts * VERDICT_DECAY + 1.0,",
        "        successes=health.successes + 1.0,\n        attempts=health.attempts + 1.0,",
        (f"{_LEARNT_RATES}::test_the_weight_of_an_attempt_fades_in_the_success_rate",),
    ),
    Mutation(
        "health: the quality breaker opens at the floor",
        f"{_DOMAIN}/health.py",
        "and passes / total < floor",
        "and passes / total <= floor",
        (f"{_QUALITY_BREAKER}::test_the_quality_breaker_opens_below_a_share_of_the_prior_and_not_at_it",),
    ),
    Mutation(
        "health: a canary at the floor closes the breaker",
        f"{_DOMAIN}/health.py",
        "if passed / scored > floor:",
        "if passed / scored >= floor:",
        (f"{_QUALITY_BREAKER}::test_a_canary_at_the_floor_does_not_close_the_quality_breaker",),
    ),
    Mutation(
        "health: the quality breaker needs one verdict more",
        f"{_DOMAIN}/health.py",
        "total >= QUALITY_VERDICTS_MIN",
        "total > QUALITY_VERDICTS_MIN",
        (f"{_QUALITY_BREAKER}::test_the_quality_breaker_needs_twelve_verdicts",),
    ),
    Mutation(
        "health: a fourth fault in a row opens the breaker",
        f"{_DOMAIN}/health.py",
        "in_a_row >= FAULTS_IN_A_ROW",
        "in_a_row > FAULTS_IN_A_ROW",
        (f"{_HEALTH}::test_three_faults_in_a_row_open_the_breaker",),
    ),
    Mutation(
        "health: a breaker stays open no longer the second time",
        f"{_DOMAIN}/health.py",
        "min(OPEN_MAX_S, self.open_for_s * 2)",
        "min(OPEN_MAX_S, self.open_for_s * 1)",
        (f"{_HEALTH}::test_a_failed_canary_opens_for_twice_as_long_up_to_a_minute",),
    ),
    Mutation(
        "health: Retry-After is forgotten",
        f"{_DOMAIN}/health.py",
        "    wait_s = retry_after_s if retry_after_s is not None else 1.0",
        "    wait_s = 1.0",
        (f"{_HEALTH}::test_retry_after_is_obeyed_exactly",),
    ),
    Mutation(
        "health: a throttle does not lower the concurrency",
        f"{_DOMAIN}/health.py",
        "    return replace(\n        health,\n        limit=max(1.0, health.limit * CONCURRENCY_BACKOFF),\n        blocked",
        "    return replace(\n        health,\n        blocked",
        (f"{_HEALTH}::test_a_throttle_halves_the_concurrency_and_successes_bring_it_back",),
    ),
)
