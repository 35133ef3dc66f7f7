"""Messages: golden ones still parse, the schema holds what they hold, breaks are found, routes and states are whole."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from scripts.check_breaking import schema_breaks, state_breaks
from scripts.journals import deciders
from winnow.contracts.envelope import Event, Message, RecordedMessage
from winnow.contracts.events import TASK_EVENTS
from winnow.contracts.states import ENDS, OWNERS, TRANSITIONS, TaskState, next_state
from winnow.contracts.topics import CONSUMER_GROUPS, MESSAGES, PRODUCERS, REGISTRY, TOPICS, route
from winnow.contracts.upcast import Upcaster, headers_of, newest_version

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = sorted((ROOT / "tests/contract/golden").rglob("*.json"))
SCHEMA = json.loads((ROOT / "docs/api/events.schema.json").read_text())
JOURNAL_SCHEMA = json.loads((ROOT / "docs/api/journal.events.schema.json").read_text())
STATES = json.loads((ROOT / "docs/api/journal.states.schema.json").read_text())
DEFINITIONS = {
    definition["properties"]["type"]["const"]: definition
    for schema in (SCHEMA, JOURNAL_SCHEMA)
    for definition in schema["$defs"].values()
    if "const" in definition.get("properties", {}).get("type", {})
}
_DECIDERS = deciders().values()
_STEPS: list[Upcaster] = [step for decider in _DECIDERS for step in decider.upcasters]
ALL = REGISTRY.extended([event for decider in _DECIDERS for event in decider.private_events], _STEPS)


def is_newest(document: dict[str, Any]) -> bool:
    return bool(document["version"] == ALL.newest(document["type"]))


def of_shape(written: Any, document: Any) -> Any:
    """Leave out the fields that were added since the document was written, at every depth."""
    match document:
        case dict():
            return {name: of_shape(written[name], value) for name, value in document.items()}
        case list() if len(written) == len(document):
            return [of_shape(*pair) for pair in zip(written, document, strict=True)]
        case _:
            return written


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parent.name)
def test_a_golden_message_parses_as_its_newest_version(path: Path) -> None:
    document = json.loads(path.read_text())
    assert path.parent.name == f"{document['type']}.v{document['version']}"
    written = ALL.read(document["type"], path.read_text()).to_document()
    assert written["version"] == ALL.newest(document["type"])
    if is_newest(document):
        assert of_shape(written, document) == document


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parent.name)
def test_a_golden_message_has_every_field_of_the_schema(path: Path) -> None:
    document = json.loads(path.read_text())
    if is_newest(document):
        definition = DEFINITIONS[document["type"]]
        required = {
            name for name in definition["required"] if "default" not in definition["properties"][name]
        }
        assert required <= document.keys()


def test_there_is_a_golden_message_of_every_version_of_every_type() -> None:
    versions = {
        f"{name}.v{version}"
        for name, model in ALL.models.items()
        for version in range(1, newest_version(model) + 1)
    }
    assert {path.parent.name for path in GOLDEN} == versions


def test_every_message_has_one_topic_and_known_producers() -> None:
    names = {topic.name for topic in TOPICS}
    for path in GOLDEN:
        document = json.loads(path.read_text())
        to = route(ALL.payload(document["type"], path.read_text()))
        assert (to is not None) == (document["type"] in MESSAGES)
        assert to is None or to[0] in names
    assert set(PRODUCERS) == set(MESSAGES)
    for name, producers in PRODUCERS.items():
        assert set(producers) <= set(CONSUMER_GROUPS), name


def test_no_message_carries_text_of_the_client() -> None:
    forbidden = {"prompt", "negative_prompt", "text", "secret", "api_key"}
    for name, definition in (SCHEMA["$defs"] | JOURNAL_SCHEMA["$defs"]).items():
        assert not forbidden & set(definition.get("properties", ())), name


def test_every_state_is_reachable_and_every_task_event_has_a_place() -> None:
    reached = set(TRANSITIONS.values())
    assert reached == set(TaskState)
    assert {event for _, event in TRANSITIONS} == {event_type.type_name() for event_type in TASK_EVENTS}


def test_an_end_is_never_left() -> None:
    for end in ENDS:
        for event in TASK_EVENTS:
            assert next_state(end, event.type_name()) in {end, None}


def test_ownership_of_the_end_is_exclusive() -> None:
    owned = [state for states in OWNERS.values() for state in states]
    assert len(owned) == len(set(owned))
    assert set(owned) == set(TaskState) - ENDS


def _field(schema: dict[str, Any], message: str, name: str) -> dict[str, Any]:
    return schema["$defs"][message]["properties"][name]


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


def test_a_message_may_take_another_shape_with_another_version() -> None:
    schema = copy.deepcopy(SCHEMA)
    properties = schema["$defs"]["TaskSettled"]["properties"]
    del properties["reason"]
    assert schema_breaks(SCHEMA, schema)
    properties["version"]["const"] = properties["version"]["default"] = 2
    assert schema_breaks(SCHEMA, schema) == []
    assert schema_breaks(schema, SCHEMA), "a version is never lowered"


def test_a_message_s_class_may_be_renamed_and_its_type_may_not() -> None:
    schema = copy.deepcopy(JOURNAL_SCHEMA)
    schema["$defs"]["CreditsGranted"] = schema["$defs"].pop("Granted")
    assert schema_breaks(JOURNAL_SCHEMA, schema) == []
    schema["$defs"]["CreditsGranted"]["properties"]["type"]["const"] = "ledger.credits_granted"
    assert schema_breaks(JOURNAL_SCHEMA, schema) == ["ledger.granted: removed"]


def test_the_schema_check_finds_a_break_in_a_private_event() -> None:
    schema = copy.deepcopy(JOURNAL_SCHEMA)
    schema["$defs"]["Reserved"]["properties"]["slices"]["type"] = "object"
    assert schema_breaks(JOURNAL_SCHEMA, schema) == ["ledger.reserved.slices: type changed"]


def test_a_stored_state_takes_another_shape_with_another_version_alone() -> None:
    def broken(change: Any, version: int = 1) -> list[str]:
        states = copy.deepcopy(STATES)
        change(states["ledger"]["schema"])
        states["ledger"]["version"] += version - 1
        return state_breaks(STATES, states)

    def add(schema: dict[str, Any]) -> None:
        schema["$defs"]["Grant"]["properties"]["note"] = {"type": "string", "default": ""}

    assert broken(add)
    assert broken(add, version=2) == []
    assert broken(lambda schema: schema["properties"].popitem())
    assert broken(lambda schema: schema["$defs"].pop("Grant"))
    assert broken(lambda schema: schema["$defs"]["Source"]["enum"].pop())
    assert broken(lambda schema: schema["$defs"]["Source"]["enum"].append("gift")) == []
    assert broken(lambda schema: schema.update(description="other words")) == []
    assert broken(lambda _: None, version=0) == ["state of ledger: version lowered"]
    assert state_breaks(
        STATES, {name: state_class for name, state_class in STATES.items() if name != "ledger"}
    )


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parent.name)
def test_the_text_of_a_message_is_its_document(path: Path) -> None:
    name = path.parent.name.rpartition(".v")[0]
    recorded = ALL.read(name, path.read_text())
    assert json.loads(recorded.text()) == recorded.to_document()
    assert RecordedMessage.from_text(recorded.text(), ALL.models[name]) == recorded


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parent.name)
def test_the_headers_of_a_message_name_its_type_and_version(path: Path) -> None:
    name = path.parent.name.rpartition(".v")[0]
    recorded = ALL.read(name, path.read_text())
    wanted = {"content-type": "application/json", "type": name, "version": str(recorded.message.version)}
    assert headers_of(name, recorded.text()) == wanted
    assert headers_of(name, json.dumps(recorded.to_document(), sort_keys=True, indent=1)) == wanted


def test_a_field_that_envelope_and_message_share_is_the_message_s() -> None:
    class Opened(Event):
        type: str = "opened"
        version: int = 1
        correlation_id: str

    envelope = RecordedMessage.from_document(json.loads(GOLDEN[0].read_text()), Event).envelope
    recorded = RecordedMessage(envelope, Opened(correlation_id="its own"))
    assert recorded.text().count('"correlation_id"') == 1
    assert json.loads(recorded.text()) == recorded.to_document()


@pytest.mark.parametrize("model", ALL.models.values(), ids=ALL.models)
def test_no_message_has_a_field_that_would_hide_its_envelopes(model: type[Message]) -> None:
    """The written form is flat: a payload's ``event_id`` would replace the event's own."""
    own = {"event_id", "occurred_at", "producer", "subject", "sequence", "causation_id"}
    assert not own & set(model.model_fields)
