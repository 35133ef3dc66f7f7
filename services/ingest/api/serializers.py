"""Writes the domain's values as answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Final

from services.ingest.api.answers import (
    BillAnswer,
    BillRouteAnswer,
    CancelAnswer,
    CandidateAnswer,
    EndAnswer,
    EntryAnswer,
    MarginAnswer,
    OutputAnswer,
    OutputList,
    RoundAnswer,
    RouteAnswer,
    SettlementAnswer,
    SpendAnswer,
    TaskAnswer,
    Versioned,
)
from services.ingest.api.other_answers import (
    HintAnswer,
    InputAnswer,
    KeyAnswer,
)
from services.ingest.domain.answers import EntryView, Link, ScreenedInput
from services.ingest.domain.bill import Bill
from services.ingest.domain.keys import KeyRecord
from services.ingest.domain.public import without_costs, without_provider
from services.ingest.domain.task_projection import PublicEvent
from services.ingest.domain.views import RoundView, TaskView
from winnow.contracts.errors import NotFound
from winnow.contracts.money import format_micro
from winnow.contracts.states import TaskState
from winnow.contracts.values import Mode


def show_task(view: TaskView, *, costs: bool) -> TaskAnswer:
    """Write a task, with ``costs`` its routes and spend too; raises NotFound for one that is not accepted yet."""
    terms = view.terms
    if terms is None or view.state is None:
        raise NotFound("There is no such task.")
    return TaskAnswer(
        id=view.task_id,
        state=view.state,
        complete=view.complete,
        template=Versioned(name=terms.template, version=terms.template_version),
        mode=Mode(terms.mode),
        profile=Versioned(name=terms.profile, version=terms.profile_version),
        k=terms.k,
        width=terms.width,
        height=terms.height,
        inputs_count=terms.inputs_count,
        label=terms.label,
        priority=terms.priority,
        price_per_output_credits_micro=terms.price_per_output_credits_micro,
        reserve_credits_micro=terms.reserve_credits_micro,
        created_at=terms.accepted_at,
        deadline_at=terms.deadline_at,
        updated_at=view.updated_at,
        funded_at=view.funded_at,
        cancel_requested_at=view.cancel_requested_at,
        funnel={state.value: count for state, count in view.funnel().items()},
        failure_reasons=view.failure_reasons() if costs else view.failure_reasons_without_providers(),
        rounds=[_show_round(round_view, costs=costs) for round_view in view.rounds],
        routes=[RouteAnswer.model_validate(route) for route in view.routes.values()] if costs else None,
        spend=SpendAnswer(
            expected_usd_micro=view.expected_cost_usd_micro,
            actual_usd_micro=view.actual_cost_usd_micro,
            cap_usd_micro=terms.cost_cap_usd_micro,
        )
        if costs
        else None,
        outputs_count=len(view.outputs),
        end=EndAnswer.model_validate(view.end) if view.end else None,
        settlement=SettlementAnswer.model_validate(view.settlement) if view.settlement else None,
    )


def _show_round(view: RoundView, *, costs: bool) -> RoundAnswer:
    # The reason of a plan states the pass rate of an offering and whether the cost cap bound it.
    shown = RoundAnswer.model_validate(view)
    return shown if costs else shown.model_copy(update={"reason": None})


_ROUTE_OF_CANDIDATE: Final = frozenset({"offering", "provider"})


def show_candidate(row: Mapping[str, Any], *, costs: bool) -> CandidateAnswer:
    """Write a candidate, with ``costs`` its route too; where its picture lies stays inside."""
    names = set(CandidateAnswer.model_fields) - (frozenset() if costs else _ROUTE_OF_CANDIDATE)
    shown = {name: row[name] for name in names if name in row}
    if not costs and row.get("passed") is None:
        # Without a verdict, its reasons are those of its attempt.
        shown["reasons"] = [without_provider(reason) for reason in row.get("reasons", ())]
    return CandidateAnswer(**shown)


def show_outputs(view: TaskView, links: Mapping[str, Link]) -> OutputList:
    """Write the outputs with their links."""
    outputs = []
    for output in sorted(view.outputs, key=lambda delivered_output: delivered_output.rank):
        link = links.get(output.output_id)
        outputs.append(
            OutputAnswer(
                **asdict(output),
                url=link.url if link else None,
                thumbnail_url=link.thumbnail_url if link else None,
                expires_in_s=link.expires_in_s if link else None,
            )
        )
    return OutputList(task_id=view.task_id, state=_state(view), outputs=outputs)


def show_bill(
    view: TaskView, bill: Bill, entries: Sequence[EntryView], credit_value_usd_micro: int | None
) -> BillAnswer:
    """Write a bill, with costs, routes and margin when the value of a credit is given: for operators."""
    shown = {name: getattr(bill, name) for name in _BILL_FIELDS}
    if credit_value_usd_micro is not None:
        shown |= {name: getattr(bill, name) for name in _BILL_COSTS}
        shown["routes"] = [
            BillRouteAnswer(
                **asdict(line.route), cost_per_accepted_usd_micro=line.cost_per_accepted_usd_micro
            )
            for line in bill.routes
        ]
        shown["margin"] = MarginAnswer(
            credit_value_usd_micro=credit_value_usd_micro,
            margin_usd_micro=bill.margin_usd_micro(credit_value_usd_micro),
        )
    return BillAnswer(
        task_id=view.task_id,
        state=_state(view),
        **shown,
        entries=[EntryAnswer.model_validate(entry) for entry in entries],
        explanation=list(bill.explanation),
    )


_BILL_COSTS: Final = frozenset(
    {
        "expected_cost_usd_micro",
        "actual_cost_usd_micro",
        "cost_cap_usd_micro",
        "attempts_count",
        "cost_per_delivered_usd_micro",
    }
)
_BILL_FIELDS: Final = (
    frozenset(field.name for field in fields(Bill)) - _BILL_COSTS - {"routes", "explanation"}
)


def show_cancel(view: TaskView) -> CancelAnswer:
    """Write what a cancel did."""
    settled = view.settlement
    if settled is not None:
        detail = (
            f"The task is {_state(view)}; {format_micro(settled.released_credits_micro, 'credits')} are released,"
            f" {format_micro(settled.settled_credits_micro, 'credits')} are charged."
        )
    elif view.ended:
        detail = f"The task is {_state(view)}; the ledger has not closed its bill yet."
    else:
        detail = "The task was asked to stop; what already runs at providers is being waited for."
    return CancelAnswer(
        task_id=view.task_id,
        state=_state(view),
        complete=view.complete,
        released_credits_micro=settled.released_credits_micro if settled else None,
        charged_credits_micro=settled.settled_credits_micro if settled else None,
        detail=detail,
    )


def show_event(event: PublicEvent, *, costs: bool) -> dict[str, Any]:
    """Write an event for the stream, with ``costs`` the fields about providers too."""
    return {
        "event_id": event.event_id,
        "number": event.number,
        "type": event.type,
        "task_id": event.task_id,
        "occurred_at": event.occurred_at.isoformat(),
        "fields": dict(event.fields) if costs else without_costs(event.type, event.fields),
    }


def show_input(screened: ScreenedInput) -> InputAnswer:
    """Write an input; where it lies stays inside."""
    stored = screened.stored
    return InputAnswer(
        input_id=screened.input_id,
        content_type=stored.content_type,
        width=stored.width,
        height=stored.height,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        advice=list(screened.advice),
        hints=[HintAnswer(**asdict(hint)) for hint in screened.hints],
        created_at=screened.created_at,
    )


def key_fields(record: KeyRecord) -> dict[str, Any]:
    """Return what may be shown of a key."""
    return {
        "key_id": record.key_id,
        "account_id": record.account_id,
        "scopes": sorted(scope.value for scope in record.scopes),
        "label": record.label,
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "revoked_at": record.revoked_at,
    }


def show_key(record: KeyRecord) -> KeyAnswer:
    """Write a key without its secret."""
    return KeyAnswer(**key_fields(record))


def _state(view: TaskView) -> TaskState:
    if view.state is None:
        raise NotFound("There is no such task.")
    return view.state
