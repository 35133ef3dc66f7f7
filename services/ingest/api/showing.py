"""Writes the domain's values as answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

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
from services.ingest.domain.folding import PublicEvent
from services.ingest.domain.keys import KeyRecord
from services.ingest.domain.views import TaskView
from winnow.contracts.errors import NotFound
from winnow.contracts.money import format_micro


def show_task(view: TaskView) -> TaskAnswer:
    """Write a task; raises NotFound for one whose acceptance is not known yet."""
    terms = view.terms
    if terms is None or view.state is None:
        raise NotFound("There is no such task.")
    return TaskAnswer(
        id=view.task_id,
        state=view.state.value,
        complete=view.complete,
        template=Versioned(name=terms.template, version=terms.template_version),
        mode=terms.mode,
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
        failure_reasons=view.failure_reasons(),
        rounds=[RoundAnswer.model_validate(one) for one in view.rounds],
        routes=[RouteAnswer.model_validate(one) for one in view.routes.values()],
        spend=SpendAnswer(
            expected_usd_micro=view.expected_cost_usd_micro,
            actual_usd_micro=view.actual_cost_usd_micro,
            cap_usd_micro=terms.cost_cap_usd_micro,
        ),
        outputs_count=len(view.outputs),
        end=EndAnswer.model_validate(view.end) if view.end else None,
        settlement=SettlementAnswer.model_validate(view.settlement) if view.settlement else None,
    )


def show_candidate(row: Mapping[str, Any]) -> CandidateAnswer:
    """Write a candidate; where its picture lies stays inside."""
    return CandidateAnswer(**{name: row[name] for name in CandidateAnswer.model_fields if name in row})


def show_outputs(view: TaskView, links: Mapping[str, Link]) -> OutputList:
    """Write the outputs with their links."""
    outputs = []
    for output in sorted(view.outputs, key=lambda one: one.rank):
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
    """Write a bill, with the margin when the value of a credit is given."""
    margin = None
    if credit_value_usd_micro is not None:
        margin = MarginAnswer(
            credit_value_usd_micro=credit_value_usd_micro,
            margin_usd_micro=bill.margin_usd_micro(credit_value_usd_micro),
        )
    fields = {name: value for name, value in asdict(bill).items() if name not in {"routes", "explanation"}}
    return BillAnswer(
        task_id=view.task_id,
        state=_state(view),
        **fields,
        routes=[
            BillRouteAnswer(
                **asdict(line.route), cost_per_accepted_usd_micro=line.cost_per_accepted_usd_micro
            )
            for line in bill.routes
        ],
        entries=[EntryAnswer.model_validate(one) for one in entries],
        explanation=list(bill.explanation),
        margin=margin,
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


def show_event(event: PublicEvent) -> dict[str, Any]:
    """Write an event for the stream."""
    return {
        "event_id": event.event_id,
        "number": event.number,
        "type": event.type,
        "task_id": event.task_id,
        "occurred_at": event.occurred_at.isoformat(),
        "fields": dict(event.fields),
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
    """Give what may be shown of a key."""
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


def _state(view: TaskView) -> str:
    return view.state.value if view.state else "unknown"
