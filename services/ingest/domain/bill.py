"""The explained bill: what was promised, what was delivered, what was charged and why."""

from __future__ import annotations

from dataclasses import dataclass

from services.ingest.domain.views import CandidateState, RouteView, TaskView
from winnow.contracts.money import div_ceil, format_micro
from winnow.contracts.states import TaskState


@dataclass(frozen=True, slots=True)
class BillRoute:
    """One offering's line, with its cost per candidate that passed (None while none has)."""

    route: RouteView
    cost_per_accepted_usd_micro: int | None


@dataclass(frozen=True, slots=True)
class Bill:
    """Credits in micro-credits, provider cost in micro-USD; ``is_final`` once the ledger has settled."""

    is_final: bool
    promised_count: int
    delivered_count: int
    price_per_output_credits_micro: int
    reserved_credits_micro: int
    charged_credits_micro: int
    released_credits_micro: int
    refunded_credits_micro: int
    price_rule: str
    expected_cost_usd_micro: int
    actual_cost_usd_micro: int
    cost_cap_usd_micro: int
    attempts_count: int
    cost_per_delivered_usd_micro: int | None
    routes: tuple[BillRoute, ...]
    explanation: tuple[str, ...]

    def margin_usd_micro(self, credit_value_usd_micro: int) -> int:
        """Return the operator's margin: the charge at the value of a credit, less the provider cost."""
        charged = self.charged_credits_micro - self.refunded_credits_micro
        return charged * credit_value_usd_micro // 1_000_000 - self.actual_cost_usd_micro


def bill_of(view: TaskView, refunded_credits_micro: int) -> Bill:
    """Explain the bill of a task as far as it is known. The view has its terms."""
    terms, settled = view.terms, view.settlement
    if terms is None:
        msg = "a bill needs an accepted task"
        raise ValueError(msg)
    delivered = settled.delivered_count if settled else len(view.outputs)
    actual = settled.actual_cost_usd_micro if settled else view.actual_cost_usd_micro
    routes = tuple(
        BillRoute(
            route, div_ceil(route.actual_cost_usd_micro, route.passed_count) if route.passed_count else None
        )
        for route in sorted(view.routes.values(), key=lambda route: route.offering)
    )
    return Bill(
        is_final=view.complete,
        promised_count=terms.k,
        delivered_count=delivered,
        price_per_output_credits_micro=terms.price_per_output_credits_micro,
        reserved_credits_micro=settled.reserved_credits_micro if settled else view.reserved_credits_micro,
        charged_credits_micro=settled.settled_credits_micro if settled else 0,
        released_credits_micro=settled.released_credits_micro if settled else 0,
        refunded_credits_micro=refunded_credits_micro,
        price_rule=terms.price_rule,
        expected_cost_usd_micro=settled.expected_cost_usd_micro if settled else view.expected_cost_usd_micro,
        actual_cost_usd_micro=actual,
        cost_cap_usd_micro=terms.cost_cap_usd_micro,
        attempts_count=settled.attempts_count
        if settled
        else sum(route.route.attempts_count for route in routes),
        cost_per_delivered_usd_micro=div_ceil(actual, delivered) if delivered else None,
        routes=routes,
        explanation=_explain(view, delivered, refunded_credits_micro),
    )


def _explain(view: TaskView, delivered_count: int, refunded_credits_micro: int) -> tuple[str, ...]:
    terms, settled = view.terms, view.settlement
    if terms is None:
        return ()
    states = [candidate.state for candidate in view.candidates.values()]
    made = sum(state not in _NOT_MADE for state in states)
    passed = sum(state in _PASSED for state in states)
    lines = [
        f"{terms.k} outputs were promised at {_credits(terms.price_per_output_credits_micro)} each.",
        f"{made} candidates were made, {passed} passed, {delivered_count} were delivered.",
    ]
    if view.complete and made < len(states):
        lines.append(f"{len(states) - made} more were planned, and no picture of them came.")
    if view.state is TaskState.rejected:
        lines.append("The credits could not be reserved, so nothing was made and nothing is charged.")
    elif settled is None:
        lines.append("The bill is open: what is reserved now is settled or released when the task ends.")
    else:
        lines.append(
            f"{_credits(settled.reserved_credits_micro)} were reserved:"
            f" {_credits(settled.settled_credits_micro)} are charged for {settled.delivered_count} delivered"
            f" outputs, {_credits(settled.released_credits_micro)} are released."
        )
    if refunded_credits_micro:
        lines.append(f"{_credits(refunded_credits_micro)} were refunded later.")
    return tuple(lines)


def _credits(amount_micro: int) -> str:
    return format_micro(amount_micro, "credits")


_PASSED = frozenset({"passed", "selected", "set_aside", "delivered"})
_NOT_MADE = frozenset({CandidateState.planned, CandidateState.generating, CandidateState.generation_failed})
