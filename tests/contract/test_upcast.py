"""Versions of messages: every older version leads to the newest by one step each, and readers get the newest."""

from __future__ import annotations

import pytest

from scripts.journals import deciders
from tests.support.builders.weights import STEPS, WEIGHED, Weighed, text, with_scale
from winnow.contracts.envelope import RecordedMessage
from winnow.contracts.topics import REGISTRY
from winnow.contracts.upcast import (
    MessageRegistry,
    UnknownVersion,
    Upcaster,
    announced_version,
    headers_of,
    newest_version,
)
from winnow.eventstore.codec import Codec

REGISTRIES = {"messages": REGISTRY} | {
    name: Codec(decider, lambda _: None).messages for name, decider in deciders().items()
}


@pytest.mark.parametrize("registry", REGISTRIES.values(), ids=REGISTRIES)
def test_every_older_version_has_one_upcaster_and_leads_to_the_newest(registry: MessageRegistry) -> None:
    for name, model in registry.models.items():
        newest = newest_version(model)
        steps = sorted(upcaster.version for upcaster in registry.upcasters if upcaster.type == name)
        assert steps == list(range(1, newest)), name
    assert {upcaster.type for upcaster in registry.upcasters} <= registry.models.keys()


@pytest.mark.parametrize(
    "steps",
    [
        STEPS[:1],
        STEPS[1:],
        (*STEPS, STEPS[0]),
        (*STEPS, Upcaster("test.weighed", 3, with_scale)),
        (*STEPS, Upcaster("test.unknown", 1, with_scale)),
    ],
    ids=["ends early", "begins late", "twice", "beyond the newest", "unknown type"],
)
def test_a_chain_that_is_not_whole_is_refused(steps: tuple[Upcaster, ...]) -> None:
    with pytest.raises(ValueError, match="do not lead to the newest version"):
        MessageRegistry([Weighed], steps)


@pytest.mark.parametrize(
    "body",
    [
        text(1, weight_g=5),
        text(None, weight_g=5),
        text(2, weight_mg=5000),
        text(3, weight_mg=5000, scale="unknown"),
        text(3, weight_mg=5000, scale="unknown", added_in_a_later_build=[1]),
    ],
    ids=["1", "none stated", "2", "3", "3 with a field of a later build"],
)
def test_a_reader_gets_the_newest_version(body: str) -> None:
    wanted = Weighed(weight_mg=5000, scale="unknown")
    recorded = WEIGHED.read("test.weighed", body)
    assert recorded.message == wanted
    assert recorded.envelope.subject == "a"
    assert WEIGHED.payload("test.weighed", body.encode()) == wanted
    assert RecordedMessage(recorded.envelope, recorded.message).to_document()["version"] == 3


@pytest.mark.parametrize(
    ("announced", "body", "version"),
    [
        (4, text(4, weight="5 g"), 4),
        (None, text(4, weight="5 g"), 4),
        (1, text(4, weight="5 g"), 4),
        (4, "no JSON in version 4", 4),
        (4, text(None, weight="5 g"), 4),
        (5, text(4, weight="5 g"), 4),
    ],
)
def test_a_newer_version_is_told_from_a_broken_record(announced: int | None, body: str, version: int) -> None:
    with pytest.raises(UnknownVersion) as raised:
        WEIGHED.read("test.weighed", body, announced)
    assert (raised.value.type_name, raised.value.version, raised.value.newest) == ("test.weighed", version, 3)


def test_the_text_is_right_where_header_and_text_differ() -> None:
    assert WEIGHED.read("test.weighed", text(1, weight_g=5), announced=9).message.version == 3
    assert WEIGHED.read("test.weighed", text(2, weight_mg=5000), announced=1).message.version == 3


def test_the_header_stands_in_for_a_version_that_the_text_does_not_state() -> None:
    message = WEIGHED.read("test.weighed", text(None, weight_mg=5000), announced=2).message
    assert message == Weighed(weight_mg=5000, scale="unknown")


@pytest.mark.parametrize(
    "body",
    [
        text(1),
        text(1, weight_g=None),
        text(3, weight_mg="x", scale="y"),
        text("two", weight_mg=1),
        text(0),
        text(True, weight_g=1),
        "[]",
        "{",
        "",
    ],
)
def test_a_broken_record_is_no_newer_one(body: str) -> None:
    with pytest.raises(ValueError):
        WEIGHED.read("test.weighed", body)


@pytest.mark.parametrize("body", ["[" * 5000, '{"version":1,"a":' * 5000], ids=["lists", "objects"])
@pytest.mark.parametrize("announced", [1, 2, 3, None])
def test_a_record_that_is_nested_too_deeply_is_a_broken_one(announced: int | None, body: str) -> None:
    with pytest.raises(ValueError):
        WEIGHED.read("test.weighed", body, announced)
    with pytest.raises(UnknownVersion, match="version 4"):
        WEIGHED.read("test.weighed", body, 4)
    assert WEIGHED.current("test.weighed", body) == body


def test_an_unknown_type_is_named() -> None:
    with pytest.raises(UnknownVersion, match="does not know the type"):
        WEIGHED.read("test.measured", text(1))


def test_headers_state_the_version_that_the_text_states() -> None:
    nested = RecordedMessage.from_text(
        text(3, weight_mg=1, scale='"type":"test.weighed","version":9'), Weighed
    )
    assert headers_of("test.weighed", nested.text()) == {
        "content-type": "application/json",
        "type": "test.weighed",
        "version": "3",
    }
    assert headers_of("test.weighed", '{"version": 2, "type": "test.weighed"}')["version"] == "2"
    assert headers_of("test.weighed", '{"type": "test.weighed"}')["version"] == "1"


@pytest.mark.parametrize(
    ("value", "version"),
    [(b"2", 2), (b"", None), (b"0", None), (b"-1", None), (b"x", None), (b"9" * 5000, None)],
)
def test_a_header_that_is_no_version_announces_none(value: bytes, version: int | None) -> None:
    assert announced_version({"version": value}) == version
    assert announced_version({}) is None
