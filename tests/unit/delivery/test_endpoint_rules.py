"""Contents of a webhook: a small body, derived secrets and ids, checked event types."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.delivery.domain.endpoints import checked_event_types, secret_of
from services.delivery.domain.messages import END_TYPES
from services.delivery.domain.outputs import unguessable
from services.delivery.domain.payload import webhook_payload
from tests.unit.delivery.builders import output
from tests.unit.delivery.domain_steps import ended
from winnow.contracts.errors import Refused


def test_a_body_holds_ids_and_counts_stays_small_and_is_the_same_each_time():
    outputs = tuple(output(index) for index in range(500))
    state = replace(ended(), outputs=outputs)
    body = webhook_payload(state)
    assert body == webhook_payload(state)
    assert len(body) < 20_000
    assert b'"outputs_truncated":true' in body
    assert b"http" not in body
    assert b"outputs/" not in body


def test_secrets_and_names_are_derived_and_differ_by_key_and_id():
    assert secret_of(b"k" * 32, "whe_1") == secret_of(b"k" * 32, "whe_1")
    assert (
        len(
            {
                secret_of(key, endpoint_id)
                for key in (b"k" * 32, b"l" * 32)
                for endpoint_id in ("whe_1", "whe_2")
            }
        )
        == 4
    )
    assert unguessable(b"k", "cand_1") != unguessable(b"l", "cand_1")


def test_event_types_are_checked_and_put_in_order():
    assert checked_event_types(list(reversed(END_TYPES))) == END_TYPES
    with pytest.raises(Refused):
        checked_event_types(["task.accepted"])
