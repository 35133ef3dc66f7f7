"""From funded to selected through the simulated providers, with their faults."""

from __future__ import annotations

from tests.contract.router.line import line, simulator


async def test_a_funded_task_is_selected_through_fal() -> None:
    async with simulator("fal") as fal, line({"fal": fal}) as one:
        order = await one.order(k=2)
        selected = await one.until("task.selected", "task.failed")
        assert selected.type == "task.selected", selected
        assert len(selected.selected) == 2
        kinds = one.kinds()
        assert kinds[0] == "round.planned"
        assert kinds.index("attempt.submitted") < kinds.index("attempt.finished")
        assert kinds.index("attempt.finished") < kinds.index("candidates.generated")
        for candidate in selected.selected:
            assert candidate.stored.key.startswith(f"candidates/{order.account_id}/{order.task_id}/")
            assert ("private", candidate.stored.key) in one.objects.files
