"""The line hands every service settings that it knows, on ports that differ and stay."""

from __future__ import annotations

import importlib
import os
import socket
from pathlib import Path

import pytest

from winnow.local.line import PROVIDERS, SERVICES, Line, LineOptions, names_of
from winnow.local.ports import PortTaken
from winnow.local.process import ServerDidNotStart
from winnow.local.stack import EmbeddedStack
from winnow.local.supervisor import ProcessSpec, Supervisor

SETTINGS = {name: f"{name.capitalize()}Settings" for name in SERVICES}


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddedStack:
    for name in [variable for variable in os.environ if variable.startswith("WINNOW_")]:
        monkeypatch.delenv(name)
    made = EmbeddedStack(tmp_path)
    made.ports = {"kafka": 1, "mongo": 2, "s3": 3}
    made.keep(s3_access_key="a", s3_secret_key="s")
    return made


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_takes_the_settings_it_is_given(
    name: str, stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in Line(stack).service(name).env.items():
        monkeypatch.setenv(variable, value)
    settings = getattr(importlib.import_module(f"services.{name}.settings"), SETTINGS[name]).load()
    assert settings.kafka_bootstrap == "127.0.0.1:1"
    assert settings.shards == 4
    assert settings.idempotent_producer is False


def test_ports_differ_and_come_back_with_the_data(stack: EmbeddedStack) -> None:
    first = Line(stack)
    urls = [first.api_url, first.receiver_url, *(first.simulator_url(provider) for provider in PROVIDERS)]
    urls += [first.ops_url(service) for service in SERVICES] + [
        first.grpc_address(service) for service in SERVICES if service != "ingest"
    ]
    assert len({url.rpartition(":")[2] for url in urls}) == len(urls)
    again = Line(stack)
    assert (again.api_url, again.receiver_url) == (first.api_url, first.receiver_url)
    assert again.admin_token == first.admin_token


def test_secrets_are_long_and_differ_and_stay_out_of_arguments(stack: EmbeddedStack) -> None:
    line = Line(stack)
    kept = {stack.state()[name] for name in ("admin_token", "key_pepper", "delivery_secret")}
    assert len(kept) == 3
    assert min(map(len, kept)) >= 32
    arguments = " ".join(part for layer in line.layers() for spec in layer for part in spec.argv)
    assert not any(secret in arguments for secret in kept)


def test_a_wanted_port_that_is_taken_is_refused(stack: EmbeddedStack) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(PortTaken):
            Line(stack, LineOptions(api_port=other.getsockname()[1]))


def test_without_a_key_the_line_buys_simulated_offerings(stack: EmbeddedStack) -> None:
    line = Line(stack)
    assert {f"simulator-{provider}" for provider in PROVIDERS} <= set(names_of(line.layers()))
    env = line.service("router").env
    assert env["WINNOW_ROUTER_CATALOGUE"] == "simulated"
    assert env["WINNOW_ROUTER_OPENAI_BASE_URL"] == f"{line.simulator_url('openai')}/v1"


def test_with_a_real_key_nothing_is_simulated_and_the_providers_catalogue_is_used(
    stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINNOW_ROUTER_FAL_KEY", "real")
    line = Line(stack)
    names = names_of(line.layers())
    assert not {f"simulator-{provider}" for provider in PROVIDERS} & set(names)
    assert "simulator-receiver" in names
    env = line.service("router").env
    overwritten = ("CATALOGUE", "FAL_KEY", "FAL_BASE_URL", "OPENAI_KEY", "OPENAI_BASE_URL")
    assert not {f"WINNOW_ROUTER_{variable}" for variable in overwritten} & set(env)


def test_a_process_that_does_not_start_is_named_with_its_last_lines(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    spec = ProcessSpec("fails", ["/bin/sh", "-c", "echo the reason; exit 3"], "http://127.0.0.1:9/readyz")
    with pytest.raises(ServerDidNotStart) as caught:
        supervisor.start([[spec]])
    supervisor.stop()
    for expected in ("fails did not start", "status 3", "the reason"):
        assert expected in str(caught.value)
