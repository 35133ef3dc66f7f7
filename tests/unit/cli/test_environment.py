"""The environment wins over the embedded line where that is safe, and is answered in a sentence where it is not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from winnow.cli.environment import overrides, places_of
from winnow.cli.errors import CliError
from winnow.local.line import SERVICES, Line, LineOptions
from winnow.local.stack import EmbeddedStack

HOSTS = "WINNOW_DELIVERY_WEBHOOK_ALLOWED_HOSTS"
LINE = {
    "delivery": {
        HOSTS: '["127.0.0.1:1"]',
        "WINNOW_DELIVERY_MONGO_URI": "mongodb://own",
        "WINNOW_DELIVERY_SECRET_KEY": "s" * 64,
        "WINNOW_DELIVERY_FETCH_MAX_WAIT_MS": "20",
    },
    "router": {"WINNOW_ROUTER_FAL_BASE_URL": "http://simulator", "WINNOW_ROUTER_FAL_KEY": "simulated"},
}


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddedStack:
    for name in [variable for variable in os.environ if variable.startswith("WINNOW_")]:
        monkeypatch.delenv(name)
    made = EmbeddedStack(tmp_path)
    made.ports = {"kafka": 1, "mongo": 2, "s3": 3}
    made.keep(s3_access_key="a", s3_secret_key="s")
    return made


def test_without_anything_in_the_environment_only_the_receiver_is_allowed() -> None:
    given = overrides({"PATH": "/bin"}, LINE)
    assert given.settings == {"delivery": {"WEBHOOK_ALLOWED_HOSTS": '["127.0.0.1:1"]'}}
    assert given.notes == []


def test_a_setting_of_the_environment_wins_over_the_lines_default() -> None:
    environment = {
        "WINNOW_DELIVERY_FETCH_MAX_WAIT_MS": "250",
        "WINNOW_ROUTER_FAL_BASE_URL": "http://127.0.0.1:9",
    }
    given = overrides(environment, LINE)
    assert given.settings["delivery"]["FETCH_MAX_WAIT_MS"] == "250"
    assert given.settings["router"] == {"FAL_BASE_URL": "http://127.0.0.1:9"}
    assert given.notes == []


def test_a_setting_that_the_line_cannot_take_is_named_without_its_value() -> None:
    environment = {
        "WINNOW_DELIVERY_MONGO_URI": "mongodb://user:secret@host",
        "WINNOW_DELIVERY_SECRET_KEY": "x",
    }
    given = overrides(environment, LINE)
    assert set(given.settings["delivery"]) == {"WEBHOOK_ALLOWED_HOSTS"}
    assert [note.split(" is set and not used: ")[0] for note in given.notes] == list(environment)
    assert "secret@" not in " ".join(given.notes)


def test_hosts_of_webhooks_are_added_to_the_receiver_and_each_stands_once() -> None:
    given = overrides({HOSTS: '["127.0.0.1:2", "127.0.0.1:1"]'}, LINE, ["127.0.0.1:3", "127.0.0.1:2"])
    allowed = json.loads(given.settings["delivery"]["WEBHOOK_ALLOWED_HOSTS"])
    assert allowed == ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]


@pytest.mark.parametrize("text", ["127.0.0.1:2", '"127.0.0.1:2"', "[1]", "{}"])
def test_hosts_that_are_no_list_are_refused(text: str) -> None:
    with pytest.raises(CliError, match=HOSTS) as caught:
        overrides({HOSTS: text}, LINE)
    assert "127.0.0.1:9000" in caught.value.hint


def test_every_setting_of_the_line_gives_way_or_says_why_it_does_not(stack: EmbeddedStack) -> None:
    plain = Line(stack)
    line = {name: plain.service(name).env for name in SERVICES}
    names = [name for variables in line.values() for name in variables]
    environment = {name: '["a:1"]' if name == HOSTS else "changed" for name in names}
    given = overrides(environment, line)
    changed = Line(stack, LineOptions(settings=given.settings))
    for service in SERVICES:
        for name, value in changed.service(service).env.items():
            if value == line[service][name]:
                assert any(note.startswith(f"{name} ") for note in given.notes), name
            else:
                assert not any(note.startswith(f"{name} ") for note in given.notes), name
    assert len(given.notes) > 30
    assert changed.service("delivery").env[HOSTS].endswith('"a:1"]')


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("127.0.0.1:9000", ["127.0.0.1:9000"]),
        ("http://127.0.0.1:9000/hook", ["127.0.0.1:9000"]),
        ("Handler.Test", ["handler.test:80", "handler.test:443"]),
        ("https://handler.test/x", ["handler.test:443"]),
        ("http://handler.test", ["handler.test:80"]),
        ("[::1]:9000", ["[::1]:9000"]),
    ],
)
def test_a_host_for_webhooks_may_be_written_in_three_ways(text: str, places: list[str]) -> None:
    assert places_of(text) == places


@pytest.mark.parametrize("text", ["", ":9000", "host:port", "host:0", "host:70000", "a b:1", "http://"])
def test_text_that_names_no_host_for_webhooks_is_refused(text: str) -> None:
    with pytest.raises(CliError, match="no host for webhooks"):
        places_of(text)
