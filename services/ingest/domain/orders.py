"""From what a client asks to an order that can be taken: checks in order, each with its own code."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Final

from services.ingest.domain.catalogue import Bounds, Catalogue, Template, WordRule
from services.ingest.domain.text import check_text, is_blank
from winnow.contracts.commands import ReserveCredits
from winnow.contracts.envelope import Message
from winnow.contracts.errors import ErrorCode, Refused
from winnow.contracts.events import TaskAccepted
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.money import format_micro
from winnow.contracts.values import Mode, ProfileRef, StoredObject

PROMPT_LENGTH_MAX: Final = 2000
LABEL_LENGTH_MAX: Final = 120
COPY_LENGTH_MAX: Final = 200
BRAND_COLOURS: Final = Bounds(0, 8)
COLOUR_PATTERN: Final = "^#[0-9a-fA-F]{6}$"
_COLOUR: Final = re.compile(COLOUR_PATTERN)
PRIORITY: Final = Bounds(0, 9)
DEFAULT_PRIORITY: Final = 5
DEADLINE_SLACK_S: Final = 300
"""Seconds after its deadline by which a task ends at the latest, where nothing else is set.

A selection made at the deadline
is still finished. It lies below RESERVATION_SLACK."""
RESERVATION_SLACK: Final = timedelta(hours=1)
"""Time by which a reservation outlives the deadline, so that the task's own end resolves it, not its expiry."""


@dataclass(frozen=True, slots=True)
class OrderForm:
    """An order as the client wrote it. Sizes are pixels; None takes the template's default."""

    template: str
    mode: str
    k: int
    prompt: str
    negative_prompt: str | None = None
    profile: str | None = None
    inputs: tuple[str, ...] = ()
    width: int | None = None
    height: int | None = None
    cost_cap_usd_micro: int | None = None
    deadline_s: int | None = None
    priority: int | None = None
    label: str | None = None
    copy_text: str = ""
    brand_colours: tuple[str, ...] = ()

    def request_object(self) -> bytes:
        """Return the canonical bytes of the request; their sha256 is the fingerprint of the order."""
        # Written out instead of `asdict`, which copies deeply and took a tenth of the whole request.
        order = {name: getattr(self, name) for name in _ORDER_FIELDS}
        text = {name: getattr(self, name) for name in _TEXT_FIELDS}
        # Left out where nothing is asked, so that orders from before there was wording keep their fingerprint.
        wording = {name: requester for name in _WORDING_FIELDS if (requester := getattr(self, name))}
        document = {**text, **wording, "parameters": {}, "order": order}
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


_TEXT_FIELDS: Final = ("prompt", "negative_prompt", "inputs")
_WORDING_FIELDS: Final = ("copy_text", "brand_colours")
_ORDER_FIELDS: Final = tuple(
    field.name for field in fields(OrderForm) if field.name not in {*_TEXT_FIELDS, *_WORDING_FIELDS}
)


def fingerprint_of(request_object: bytes) -> str:
    """Return the sha256 of a request in hexadecimal."""
    return hashlib.sha256(request_object).hexdigest()


@dataclass(frozen=True, slots=True)
class ResolvedOrder:
    """An order with every default filled in and every bound held."""

    template: Template
    mode: Mode
    profile: ProfileRef
    k: int
    width: int
    height: int
    deadline_s: int
    priority: int


@dataclass(frozen=True, slots=True)
class Price:
    """Price of the ledger: per delivered output, and reserved for K of them, in micro-credits."""

    price_per_output_credits_micro: int
    reserve_credits_micro: int
    price_rule: str


@dataclass(frozen=True, slots=True)
class CostQuote:
    """Expected cost of a task at providers, in micro-USD."""

    expected_cost_usd_micro: int
    cheapest_cost_usd_micro: int
    cost_cap_default_usd_micro: int
    candidates_expected_count: int


def template_of(catalogue: Catalogue, name: str) -> Template:
    """Find a template; raises Refused with ``unknown_template``."""
    template = catalogue.templates.get(name)
    if template is None:
        known = ", ".join(sorted(catalogue.templates))
        raise Refused(
            ErrorCode.unknown_template, f"There is no such template; known are: {known}.", pointer="template"
        )
    return template


def mode_of(template: Template, name: str) -> Mode:
    """Find a mode of a template; raises Refused with ``unknown_mode``."""
    for mode in template.modes:
        if mode.value == name:
            return mode
    known = ", ".join(mode.value for mode in template.modes)
    raise Refused(
        ErrorCode.unknown_mode, f"The template has no such mode; known are: {known}.", pointer="mode"
    )


def check_k(template: Template, k: int) -> None:
    """Raise Refused with ``out_of_bounds`` unless K is one the template takes."""
    _check_bounds("k", k, template.k)


def resolve(
    form: OrderForm, catalogue: Catalogue, rule: WordRule, priority_max: int = DEFAULT_PRIORITY
) -> ResolvedOrder:
    """Check a form against the catalogue, the prompt rule and the account's priority; raises Refused."""
    template = template_of(catalogue, form.template)
    mode = mode_of(template, form.mode)
    profile = _profile_of(template, form.profile)
    check_k(template, form.k)
    width, height = _size_of(template, form)
    deadline_s = template.default_deadline_s if form.deadline_s is None else form.deadline_s
    _check_bounds("deadline_s", deadline_s, template.deadline_s)
    priority = _priority_of(form.priority, priority_max)
    _check_bounds("inputs", len(form.inputs), template.inputs, "The number of inputs")
    if form.label is not None:
        _check_bounds("label", len(form.label), Bounds(0, LABEL_LENGTH_MAX), "The length of label")
        check_text("label", form.label, one_line=True)
    _check_prompt(form, rule)
    _check_wording(form, template, rule)
    return ResolvedOrder(template, mode, profile, form.k, width, height, deadline_s, priority)


def cap_of(requested_usd_micro: int | None, quote: CostQuote, *, costs_shown: bool = True) -> int:
    """Return the cost cap in micro-USD; raises Refused with ``cost_cap_too_low``.

    The refusal names the minimum only when provider costs may be shown to the caller.
    """
    if requested_usd_micro is None:
        return quote.cost_cap_default_usd_micro
    if requested_usd_micro < quote.cheapest_cost_usd_micro:
        if not costs_shown:
            raise Refused(
                ErrorCode.cost_cap_too_low,
                "This order cannot be made at providers for so little.",
                pointer="cost_cap_usd_micro",
            )
        raise Refused(
            ErrorCode.cost_cap_too_low,
            f"The least this order can cost at providers is {format_micro(quote.cheapest_cost_usd_micro, 'USD')}.",
            pointer="cost_cap_usd_micro",
            minimum_usd_micro=quote.cheapest_cost_usd_micro,
        )
    return requested_usd_micro


def check_credits(price: Price, available_credits_micro: int) -> None:
    """Raise Refused with ``insufficient_credits`` and the shortfall unless the reserve is available."""
    shortfall = price.reserve_credits_micro - available_credits_micro
    if shortfall > 0:
        raise Refused(
            ErrorCode.insufficient_credits,
            f"The order reserves {format_micro(price.reserve_credits_micro, 'credits')};"
            f" {format_micro(shortfall, 'credits')} are missing.",
            shortfall_credits_micro=shortfall,
            reserve_credits_micro=price.reserve_credits_micro,
        )


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """An order that passed every check, ready to be recorded."""

    task_id: str
    account_id: str
    order: ResolvedOrder
    price: Price
    cost_cap_usd_micro: int
    request: StoredObject
    inputs: tuple[StoredObject, ...]
    label: str | None
    deadline_slack_s: int = DEADLINE_SLACK_S


def task_id_of(account_id: str, idempotency_key: str) -> str:
    """Derive a task's id: the same key of the same account names the same task."""
    return derive_id(Prefix.task, account_id, idempotency_key)


def acceptance(place: PlaceOrder, now: datetime) -> tuple[Message, ...]:
    """Return what an accepted order records: ``task.accepted``, and ``ReserveCredits`` to the ledger."""
    order, price = place.order, place.price
    deadline_at = now + timedelta(seconds=order.deadline_s)
    reservation_id = derive_id(Prefix.reservation, place.task_id)
    accepted = TaskAccepted(
        task_id=place.task_id,
        account_id=place.account_id,
        template=order.template.ref,
        mode=order.mode,
        profile=order.profile,
        k=order.k,
        request=place.request,
        request_sha256=place.request.sha256,
        inputs=list(place.inputs),
        width=order.width,
        height=order.height,
        reservation_id=reservation_id,
        price_per_output_credits_micro=price.price_per_output_credits_micro,
        reserve_credits_micro=price.reserve_credits_micro,
        price_rule=price.price_rule,
        cost_cap_usd_micro=place.cost_cap_usd_micro,
        deadline_at=deadline_at,
        priority=order.priority,
        label=place.label,
        deadline_slack_s=place.deadline_slack_s,
    )
    reserve = ReserveCredits(
        command_id=derive_id(Prefix.command, "reserve", place.task_id),
        account_id=place.account_id,
        reservation_id=reservation_id,
        task_id=place.task_id,
        amount_credits_micro=price.reserve_credits_micro,
        price_per_output_credits_micro=price.price_per_output_credits_micro,
        expires_at=deadline_at + RESERVATION_SLACK,
    )
    return accepted, reserve


def _profile_of(template: Template, name: str | None) -> ProfileRef:
    if name is None:
        return template.profile
    for profile in template.profiles:
        if profile.name == name:
            return profile
    known = ", ".join(profile.name for profile in template.profiles)
    raise Refused(
        ErrorCode.unknown_profile, f"The template has no such profile; known are: {known}.", pointer="profile"
    )


def _size_of(template: Template, form: OrderForm) -> tuple[int, int]:
    width = template.default_width if form.width is None else form.width
    height = template.default_height if form.height is None else form.height
    for name, value in (("width", width), ("height", height)):
        _check_bounds(name, value, template.size)
        if value % template.size_step:
            raise Refused(
                ErrorCode.out_of_bounds, f"{name} must be a multiple of {template.size_step}.", pointer=name
            )
    return width, height


def _priority_of(requester: int | None, priority_max: int) -> int:
    """Return the priority: the default, or less where the account may not have it; raises Refused."""
    if requester is None:
        return min(DEFAULT_PRIORITY, priority_max)
    _check_bounds("priority", requester, PRIORITY)
    if requester > priority_max:
        raise Refused(
            ErrorCode.priority_not_allowed,
            f"This account may ask for a priority of at most {priority_max}.",
            pointer="priority",
            priority_max=priority_max,
        )
    return requester


def _check_prompt(form: OrderForm, rule: WordRule) -> None:
    if is_blank(form.prompt):
        raise Refused(ErrorCode.invalid_request, "The prompt is empty.", pointer="prompt")
    for name, text in (("prompt", form.prompt), ("negative_prompt", form.negative_prompt or "")):
        if len(text) > PROMPT_LENGTH_MAX:
            raise Refused(
                ErrorCode.prompt_too_long,
                f"{name} has {len(text)} characters; {PROMPT_LENGTH_MAX} are allowed.",
                pointer=name,
                length_max=PROMPT_LENGTH_MAX,
            )
        check_text(name, text)
    if rule.refuses(form.prompt):
        raise Refused(
            ErrorCode.prompt_refused, "The prompt holds words that are not served here.", pointer="prompt"
        )


def _check_wording(form: OrderForm, template: Template, rule: WordRule) -> None:
    requester = {"copy_text": not is_blank(form.copy_text), "brand_colours": bool(form.brand_colours)}
    for name in _WORDING_FIELDS:
        if requester[name] and not template.wording:
            raise Refused(
                ErrorCode.invalid_request, f"The template does not judge {name}; leave it out.", pointer=name
            )
    _check_bounds("copy_text", len(form.copy_text), Bounds(0, COPY_LENGTH_MAX), "The length of copy_text")
    _check_bounds("brand_colours", len(form.brand_colours), BRAND_COLOURS, "The number of brand_colours")
    check_text("copy_text", form.copy_text)
    for place, colour in enumerate(form.brand_colours):
        if not _COLOUR.fullmatch(colour):
            raise Refused(
                ErrorCode.invalid_request,
                "Colours are written like #1b4d3e.",
                pointer=f"brand_colours/{place}",
            )
    if form.copy_text and rule.refuses(form.copy_text):
        raise Refused(
            ErrorCode.prompt_refused, "The copy holds words that are not served here.", pointer="copy_text"
        )


def _check_bounds(name: str, value: int, bounds: Bounds, noun: str | None = None) -> None:
    if not bounds.hold(value):
        raise Refused(
            ErrorCode.out_of_bounds,
            f"{noun or name} must lie in {bounds.least}..{bounds.greatest}.",
            pointer=name,
            least=bounds.least,
            greatest=bounds.greatest,
        )
