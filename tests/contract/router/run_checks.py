"""Checks of what a line of router tests has recorded: its books and its allowed steps."""

from __future__ import annotations

from typing import Any

from tests.contract.router.router_app import RouterApp
from winnow.contracts.states import next_state

ENDS = ("task.selected", "task.failed", "task.cancelled")


def of_kind(app: RouterApp, kind: str) -> list[Any]:
    return app.messages(kind)


def assert_books(app: RouterApp, cap_usd_micro: int = 1_000_000) -> None:
    """Each attempt ends once, the cap held at each submit, and there is one end."""
    submitted = of_kind(app, "attempt.submitted")
    finished = of_kind(app, "attempt.finished")
    assert len({a.attempt_id for a in submitted}) == len(submitted)
    assert len({a.attempt_id for a in finished}) == len(finished)
    assert {a.attempt_id for a in finished} <= {a.attempt_id for a in submitted}
    assert sum(a.expected_cost_usd_micro for a in submitted) <= cap_usd_micro or finished
    assert sum(len(of_kind(app, end)) for end in ENDS) == 1


def assert_allowed(app: RouterApp) -> None:
    """Every event is one that the state machine of the task allows."""
    state = next_state(next_state(None, "task.accepted"), "task.funded")
    for kind in app.kinds():
        if "." not in kind:
            continue
        after = next_state(state, kind)
        assert after is not None, (state, kind)
        state = after
