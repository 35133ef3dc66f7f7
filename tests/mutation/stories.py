"""The stories of the running line: each mutation must make the story fail that promises the contrary."""

from __future__ import annotations

from tests.mutation.catalogue import Mutation

_STORIES = "tests/e2e/test_stories.py"

MUTATIONS = (
    Mutation(
        "story: a defect passes the gate",
        "services/scorer/domain/verdict.py",
        "    return CandidateScore(\n        passed=not failed,",
        "    return CandidateScore(\n        passed=bool(verdicts),",
        (f"{_STORIES}::test_nothing_delivered_has_a_defect_that_its_profile_judges",),
    ),
    Mutation(
        "story: the seed does not reach the provider",
        "services/router/clients/replicate.py",
        '            "seed": generation.seed,\n',
        "",
        (f"{_STORIES}::test_stable_mode_uses_one_offering_and_its_seeds_repeat_the_pictures",),
    ),
    Mutation(
        "story: a task has two ends",
        "services/delivery/domain/decide.py",
        "        TaskDelivered(task_id=task_id, account_id=account_id, outputs=outputs),\n        _settle",
        "        TaskDelivered(task_id=task_id, account_id=account_id, outputs=outputs),\n"
        "        TaskDelivered(task_id=task_id, account_id=account_id, outputs=outputs),\n        _settle",
        ("tests/e2e/test_one_end.py::test_every_task_of_this_session_has_one_end_before_its_deadline",),
    ),
    Mutation(
        "story: a webhook that failed once is given up",
        "services/delivery/domain/schedule.py",
        "    if step >= len(schedule_s):",
        "    if step >= 2:",
        (f"{_STORIES}::test_a_webhook_is_received_and_verified_even_when_the_first_attempts_fail",),
    ),
    Mutation(
        "story: a link leads to other bytes",
        "services/delivery/app/finishing.py",
        "await self._files.put(stored.bucket, stored.key, content, stored.content_type)",
        'await self._files.put(stored.bucket, stored.key, content[:-1] + b"\\0", stored.content_type)',
        (f"{_STORIES}::test_k_outputs_are_delivered_and_only_they_are_charged",),
    ),
)
