"""Mutations of the audit: a check that is gone or too mild must show in a test."""

from __future__ import annotations

from tests.mutation.catalogue import Mutation

_FOLD = "tests/unit/audit/test_fold.py"
_FOLD_BOOKS = "tests/unit/audit/test_fold_books.py"
_FOLD_PROFILES = "tests/unit/audit/test_fold_profiles.py"
_JUDGED = "tests/unit/audit/test_judgement.py"
_COSTS = "tests/unit/audit/test_costs.py"
_DEADLINE = "tests/unit/delivery/test_deadline.py"
_LIMIT = (
    f"{_DEADLINE}::test_the_limit_of_delivery_lies_before_deadline_and_slack_with_half_the_slack_to_spare"
)

MUTATIONS: list[Mutation] = [
    Mutation(
        "audit: the threshold is not compared with the profile's",
        "winnow/audit/judgement.py",
        "if dimension.threshold != rule.threshold:",
        "if dimension.threshold is None:",
        (f"{_JUDGED}::test_a_changed_verdict_is_named",),
    ),
    Mutation(
        "audit: what was not taken is excused whatever the profile says",
        "winnow/audit/profiles.py",
        "return self.required and status not in self.excuses",
        "return self.required and status is MeasureStatus.ok",
        (f"{_JUDGED}::test_a_changed_verdict_is_named",),
    ),
    Mutation(
        "audit: a score is believed without its raw value",
        "winnow/audit/judgement.py",
        "if differs or abs((derived or 0.0) - (dimension.score or 0.0)) > _ROUNDING:",
        "if differs:",
        (f"{_JUDGED}::test_a_changed_verdict_is_named",),
    ),
    Mutation(
        "audit: > for >= at a threshold",
        "winnow/audit/judgement.py",
        "return score >= rule.threshold",
        "return score > rule.threshold",
        (f"{_JUDGED}::test_a_score_at_the_threshold_passes_and_the_next_below_does_not",),
    ),
    Mutation(
        "audit: the last digit of a score may be anything",
        "winnow/audit/judgement.py",
        "_ROUNDING: Final = 0.01 + 1e-9",
        "_ROUNDING: Final = 0.5",
        (f"{_JUDGED}::test_the_last_digit_of_a_score_may_be_rounded_the_other_way_and_no_more",),
    ),
    Mutation(
        "audit: a missing required dimension passes",
        "winnow/audit/judgement.py",
        "if any(rule.required and counts[rule.name] != 1 for rule in profile.rules.values()):",
        "if not candidate.dimensions:",
        (f"{_JUDGED}::test_a_changed_verdict_is_named",),
    ),
    Mutation(
        "audit: a raw value is believed without its guard",
        "winnow/audit/judgement.py",
        "if not isinstance(shown, int | float) or not shown >= minimum:",
        "if isinstance(shown, str):",
        (f"{_JUDGED}::test_a_changed_verdict_is_named",),
    ),
    Mutation(
        "audit: an excused measure weighs in the rank",
        "winnow/audit/judgement.py",
        "and dimension.status not in rule.excuses",
        "and dimension.status is not None",
        (f"{_JUDGED}::test_an_excused_measure_neither_fails_a_picture_nor_weighs_in_its_rank",),
    ),
    Mutation(
        "audit: any version of the pinned profile will do",
        "winnow/audit/pins.py",
        "if use.ref != self.pin:",
        "if use.ref.name != self.pin.name:",
        (f"{_FOLD_PROFILES}::test_a_verdict_of_another_profile_than_the_order_pins_is_found",),
    ),
    Mutation(
        "audit: the content behind a hash is not compared with the pin",
        "winnow/audit/pins.py",
        "if profile is not None and profile.ref != self.pin:",
        "if profile is not None and profile.ref.name != self.pin.name:",
        (f"{_FOLD_PROFILES}::test_a_verdict_under_the_hash_of_another_profile_is_found",),
    ),
    Mutation(
        "audit: a profile that is not at hand is passed over",
        "winnow/audit/pins.py",
        "if use.sha256 not in profiles)",
        "if use.sha256 is None)",
        (f"{_FOLD_PROFILES}::test_a_profile_that_is_not_at_hand_is_named_with_what_is",),
    ),
    Mutation(
        "audit: the gate believes the recorded verdict",
        "winnow/audit/pins.py",
        "if candidate.passed and (profile is None or passes_under(candidate, profile)):",
        "if candidate.passed:",
        (f"{_FOLD_PROFILES}::test_an_output_whose_raw_values_do_not_pass_is_found_at_the_gate",),
    ),
    Mutation(
        "audit: the gate takes verdicts of other profiles",
        "winnow/audit/pins.py",
        "if id_ in self.passed and id_ in self.uses and self._deviation(self.uses[id_], profiles)",
        "if id_ in self.passed and id_ not in self.uses",
        (f"{_FOLD_PROFILES}::test_a_verdict_of_another_profile_than_the_order_pins_is_found",),
    ),
    Mutation(
        "audit: a selection may name another profile",
        "winnow/audit/pins.py",
        "if self.pin is not None and selected.profile != self.pin:",
        "if self.pin is None:",
        (f"{_FOLD_PROFILES}::test_a_selection_under_another_profile_is_found",),
    ),
    Mutation(
        "audit: an end is late only after twice the slack",
        "winnow/audit/deadlines.py",
        "if at > self.at + slack:",
        "if at > self.at + 2 * slack:",
        (f"{_FOLD}::test_an_end_is_late_only_after_deadline_and_slack",),
    ),
    Mutation(
        "audit: an order without slack may end at any time",
        "winnow/audit/deadlines.py",
        "_ENDED_SLACK: Final = timedelta(seconds=3660)",
        "_ENDED_SLACK: Final = timedelta(days=3660)",
        (f"{_FOLD}::test_an_end_of_an_order_without_slack_is_judged_by_the_hour_that_finishing_had",),
    ),
    Mutation(
        "audit: a task may stay open for ever",
        "winnow/audit/deadlines.py",
        "if not self.ends and now > self.at + (self.slack or _OPEN_SLACK):",
        "if not self.ends and self.at is None:",
        (f"{_FOLD}::test_a_task_without_an_end_is_a_fault_only_after_its_deadline_and_slack",),
    ),
    Mutation(
        "audit: a balance may go below zero when its postings agree",
        "winnow/audit/books.py",
        "if min(derived) < 0:",
        "if max(derived) < 0:",
        (
            "tests/unit/audit/test_books.py::test_a_balance_below_zero_is_named_although_its_postings_agree",
            f"{_FOLD_BOOKS}::test_a_balance_below_zero_is_found_although_its_postings_agree",
        ),
    ),
    Mutation(
        "audit: the books may owe more than the attempts cost",
        "winnow/audit/costs.py",
        "if owed == cost.spent_usd_micro:",
        "if owed >= cost.spent_usd_micro:",
        (f"{_COSTS}::test_a_debt_that_is_not_the_cost_of_the_attempts_is_named",),
    ),
    Mutation(
        "audit: any difference of an older order is excused",
        "winnow/audit/costs.py",
        "if not cost.books_late_outcomes and owed == cost.billed_usd_micro:",
        "if not cost.books_late_outcomes:",
        (f"{_COSTS}::test_an_order_of_an_older_build_is_counted_where_only_late_outcomes_are_missing",),
    ),
    Mutation(
        "audit: an attempt costs what was expected for ever",
        "winnow/audit/costs.py",
        "self.spent_usd_micro += event.actual_cost_usd_micro - event.expected_cost_usd_micro",
        "self.spent_usd_micro += 0",
        (f"{_COSTS}::test_an_outcome_after_the_bill_is_booked_by_its_variance",),
    ),
    Mutation(
        "audit: a debt in an archive is not compared",
        "winnow/audit/archive_verify.py",
        "findings += report.findings",
        "findings += []",
        (
            "tests/unit/audit/test_books.py::test_an_archive_whose_books_owe_more_than_the_attempts_cost_is_named",
        ),
    ),
    Mutation(
        "delivery: finishing ignores the order's deadline",
        "services/delivery/domain/decide.py",
        "return min(own, event.deadline_at + timedelta(seconds=event.deadline_slack_s) / 2)",
        "return own",
        (_LIMIT,),
    ),
    Mutation(
        "delivery: finishing takes the whole slack",
        "services/delivery/domain/decide.py",
        "timedelta(seconds=event.deadline_slack_s) / 2)",
        "timedelta(seconds=event.deadline_slack_s))",
        (_LIMIT,),
    ),
    Mutation(
        "delivery: finished outputs are lost when time is over",
        "services/delivery/app/finishing.py",
        "asyncio.timeout_at(over_at), self._turns, asyncio.timeout(self._limits.within_s)",
        "self._turns, asyncio.timeout(self._limits.within_s)",
        (f"{_DEADLINE}::test_a_candidate_that_waits_for_its_turn_waits_no_longer_than_the_task",),
    ),
    Mutation(
        "router: a selection without the promise of its order",
        "services/router/domain/run_end.py",
        "deadline_slack_s=order.deadline_slack_s,",
        "deadline_slack_s=None,",
        ("tests/unit/router/test_run.py::test_a_selection_carries_the_promise_of_its_order",),
    ),
]
