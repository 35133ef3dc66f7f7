"""Simulators on loopback, each with controls a test can set."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from simulators.main import build
from simulators.provider_profile import load_profile
from simulators.receiver import build_receiver
from simulators.renderer import Renderer
from simulators.served import served
from tests.support.renderer import shared_renderer


@dataclass
class Running:
    """A running simulator."""

    url: str

    def control(self, **controls: Any) -> dict[str, Any]:
        answer = httpx.post(f"{self.url}/_control", json=controls)
        answer.raise_for_status()
        return answer.json()

    def ledger(self) -> dict[str, Any]:
        return httpx.get(f"{self.url}/_ledger").json()

    def truth(self) -> list[dict[str, Any]]:
        return httpx.get(f"{self.url}/_truth").json()

    def deliveries(self) -> list[dict[str, Any]]:
        return httpx.get(f"{self.url}/_deliveries").json()


@pytest.fixture(scope="session")
def renderer() -> Renderer:
    return shared_renderer()


@pytest.fixture
def start(renderer: Renderer) -> Iterator[Callable[..., Running]]:
    """Start a provider by profile name."""
    with ExitStack() as stack:

        def started(profile: str, *, seed: int = 7, **changes: Any) -> Running:
            chosen = load_profile(profile).model_copy(update=changes)
            return Running(stack.enter_context(served(build(chosen, seed=seed, renderer=renderer))))

        yield started


@pytest.fixture
def fal(start: Callable[..., Running]) -> Running:
    return start("flawless-fal")


@pytest.fixture
def replicate_api(start: Callable[..., Running]) -> Running:
    return start("flawless-replicate")


@pytest.fixture
def openai_api(start: Callable[..., Running]) -> Running:
    return start("flawless-openai")


@pytest.fixture
def receiver() -> Iterator[Running]:
    with served(build_receiver()) as url:
        yield Running(url)


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """Ask until there is an answer, or the time is up."""

    def asked(question: Callable[[], Any], *, within_s: float) -> Any:
        until_s = time.monotonic() + within_s
        while time.monotonic() < until_s:
            if answer := question():
                return answer
            time.sleep(0.02)
        pytest.fail(f"no answer within {within_s} s")

    return asked
