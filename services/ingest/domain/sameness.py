"""Sameness of two orders: a default that is written out changes nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TypeVar

from services.ingest.domain.catalogue import Catalogue
from services.ingest.domain.orders import DEFAULT_PRIORITY, OrderForm, fingerprint_of
from services.ingest.domain.text import is_blank
from winnow.contracts.events import TaskAccepted

T = TypeVar("T")


def without_defaults(
    form: OrderForm, catalogue: Catalogue, cost_cap_default_usd_micro: int | None = None
) -> OrderForm:
    """Return the order with every default that is written out left out again, and blank optional text too.

    Defaults are left out, not filled in, so that an order keeps its fingerprint when a template's default changes.
    ``cost_cap_default_usd_micro`` is the quote's default of now; None where it is not known.
    """
    template = catalogue.templates.get(form.template)
    if template is None:
        return form
    return replace(
        form,
        profile=_unless(form.profile, template.profile.name),
        width=_unless(form.width, template.default_width),
        height=_unless(form.height, template.default_height),
        deadline_s=_unless(form.deadline_s, template.default_deadline_s),
        priority=_unless(form.priority, DEFAULT_PRIORITY),
        cost_cap_usd_micro=_unless(form.cost_cap_usd_micro, cost_cap_default_usd_micro),
        negative_prompt=_unless_blank(form.negative_prompt),
        label=_unless_blank(form.label),
        copy_text=_unless_blank(form.copy_text) or "",
    )


def is_same_order(form: OrderForm, catalogue: Catalogue, accepted: TaskAccepted) -> bool:
    """Return whether an order is the accepted order under its idempotency key.

    Some defaults move with time: the cost cap with the quote, the priority with the account. They are
    compared with what was accepted. An order that was recorded verbatim, with its defaults written out, is
    found as it was sent.
    """
    plain = without_defaults(form, catalogue)
    caps = {plain.cost_cap_usd_micro, _unless(plain.cost_cap_usd_micro, accepted.cost_cap_usd_micro)}
    priorities = {plain.priority, _unless(plain.priority, accepted.priority)}
    forms = [
        replace(plain, cost_cap_usd_micro=cap, priority=priority)
        for cap, priority in product(caps, priorities)
    ]
    return accepted.request_sha256 in {
        fingerprint_of(candidate.request_object()) for candidate in (form, *forms)
    }


def _unless(value: T | None, default: T | None) -> T | None:
    return None if value == default else value


def _unless_blank(text: str | None) -> str | None:
    return None if text is None or is_blank(text) else text
