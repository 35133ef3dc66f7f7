"""Messages: golden ones still parse, the schema holds what they hold, breaks are found, routes and states are whole."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from scripts.check_breaking import schema_breaks
from services.delivery.domain.messages import PRIVATE_EVENTS as DELIVERY_EVENTS
from services.ingest.domain.requests import GrantOrdered, RefundOrdered
from services.ingest.domain.stages import STAGE_EVENTS
from services.ledger.domain.records import PRIVATE_EVENTS as LEDGER_EVENTS
from services.router.domain.run import PRIVATE_EVENTS as ROUTER_EVENTS
from winnow.contracts.envelope import Event, Message, Recorded
from winnow.contracts.events import TASK_EVENTS
from winnow.contracts.states import ENDS, OWNERS, TRANSITIONS, TaskState, next_state
from winnow.contracts.topics import CONSUMER_GROUPS, MESSAGES, PRODUCERS, TOPICS, route

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = sorted((ROOT / "tests/contract/golden").rglob("*.json"))
SCHEMA = json.loads((ROOT / "docs/api/events.schema.json").read_text())


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parent.name)
def test_a_golden_message_parses_and_is_written_the_same(path: Path) -> None:
    document = json.loads(path.read_text())
    assert path.parent.name == f"{document['type']}.v{document['version']}"
    recorded = Recorded.from_document(document, MESSAGES[document["type"]])
    written = recorded.to_document()
    assert {name: written[name] for name in document} == document


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parent.name)
def test_a_golden_message_has_every_field_of_the_schema(path: Path) -> None:
    document = json.loads(path.read_text())
    definition = SCHEMA["$defs"][MESSAGES[document["type"]].__name__]
    required = {name for name in definition["required"] if "default" not in definition["properties"][name]}
    assert required <= document.keys()


def test_there_is_a_golden_message_of_every_type() -> None:
    assert {path.parent.name.rpartition(".v")[0] for path in GOLDEN} == set(MESSAGES)


def test_every_message_has_one_topic_and_known_producers() -> None:
    names = {topic.name for topic in TOPICS}
    for path in GOLDEN:
        document = json.loads(path.read_text())
        to = route(MESSAGES[document["type"]].model_validate(document))
        assert to is not None
        assert to[0] in names
    assert set(PRODUCERS) == set(MESSAGES)
    for name, producers in PRODUCERS.items():
        assert set(producers) <= set(CONSUMER_GROUPS), name


def test_no_message_carries_text_of_the_client() -> None:
    forbidden = {"prompt", "negative_prompt", "text", "secret", "api_key"}
    for name, definition in SCHEMA["$defs"].items():
        assert not forbidden & set(definition.get("properties", ())), name


def test_every_state_is_reachable_and_every_task_event_has_a_place() -> None:
    reached = set(TRANSITIONS.values())
    assert reached == set(TaskState)
    assert {event for _, event in TRANSITIONS} == {one.type_name() for one in TASK_EVENTS}


def test_an_end_is_never_left() -> None:
    for end in ENDS:
        for event in TASK_EVENTS:
            assert next_state(end, event.type_name()) in {end, None}


def test_ownership_of_the_end_is_exclusive() -> None:
    owned = [state for states in OWNERS.values() for state in states]
    assert len(owned) == len(set(owned))
    assert set(owned) == set(TaskState) - ENDS


def _field(schema: dict[str, Any], message: str, name: str) -> dict[str, Any]:
    return schema["$defs"][message]["properties"][name]  # type: ignore[no-any-return]


def test_the_schema_check_finds_every_kind_of_break() -> None:
    def broken(change: Any) -> list[str]:
        schema = copy.deepcopy(SCHEMA)
        change(schema)
        return schema_breaks(SCHEMA, schema)

    assert broken(lambda schema: schema["$defs"].pop("TaskSettled"))
    assert broken(lambda schema: schema["$defs"]["TaskSettled"]["properties"].pop("reason"))
    assert broken(lambda schema: _field(schema, "TaskSettled", "reason").update(type="integer"))
    assert broken(lambda schema: _field(schema, "TaskSettled", "delivered_count").update(minimum=1))
    assert broken(lambda schema: _field(schema, "TaskSettled", "type").update(const="task.closed"))
    assert broken(lambda schema: schema["$defs"]["Mode"]["enum"].remove("fast"))
    assert broken(
        lambda schema: schema["$defs"]["TaskSettled"]["properties"].update(extra={"type": "string"})
    )


def test_the_schema_check_lets_additions_pass() -> None:
    schema = copy.deepcopy(SCHEMA)
    schema["$defs"]["TaskSettled"]["properties"]["note"] = {"type": "string", "default": ""}
    schema["$defs"]["TaskArchived"] = {"type": "object", "properties": {}}
    assert schema_breaks(SCHEMA, schema) == []


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parent.name)
def test_the_text_of_a_message_is_its_document(path: Path) -> None:
    model = MESSAGES[path.parent.name.rpartition(".v")[0]]
    recorded = Recorded.from_document(json.loads(path.read_text()), model)
    assert json.loads(recorded.text()) == recorded.to_document()
    assert Recorded.from_text(recorded.text(), model) == recorded


def test_a_field_that_envelope_and_message_share_is_the_message_s() -> None:
    class Opened(Event):
        type: str = "opened"
        version: int = 1
        correlation_id: str

    envelope = Recorded.from_document(json.loads(GOLDEN[0].read_text()), Event).envelope
    recorded = Recorded(envelope, Opened(correlation_id="its own"))
    assert recorded.text().count('"correlation_id"') == 1
    assert json.loads(recorded.text()) == recorded.to_document()


@pytest.mark.parametrize(
    "model",
    [
        *MESSAGES.values(),
        *LEDGER_EVENTS,
        *ROUTER_EVENTS,
        *DELIVERY_EVENTS,
        *STAGE_EVENTS,
        GrantOrdered,
        RefundOrdered,
    ],
    ids=lambda model: model.type_name(),
)
def test_no_message_has_a_field_that_would_hide_its_envelopes(model: type[Message]) -> None:
    """The written form is flat: a payload's ``event_id`` would replace the event's own."""
    own = {"event_id", "occurred_at", "producer", "subject", "sequence", "causation_id"}
    assert not own & set(model.model_fields)
