"""The choice of an offering is learnt from attempts and verdicts, whatever the catalogue assumed."""

from __future__ import annotations

import random
from collections import Counter, deque
from dataclasses import dataclass, replace

import pytest

from services.router.app.offering_pool import OfferingPool
from services.router.domain.catalogue import PPM, Catalogue, Template
from services.router.domain.health import HealthSignal
from services.router.domain.run import Candidate, CandidateState, Run
from services.router.store.catalogue import CATALOGUE_FOLDER, SIMULATED_OFFERINGS, read_catalogue
from tests.support.clock import SetClock
from tests.unit.router.builders import NOW, accepted
from winnow.contracts.values import Mode, TemplateRef

TEMPLATE = ("studio_headshot", 1)
PASS_PERCENT = {"simulated-fal": 65, "simulated-replicate": 80, "simulated-openai": 92}
"""Pass rates of the simulators (``simulators/profiles/demo-*.yaml``); the router is not told."""
BEST = "simulated-fal"
"""3,000 for 65 of 100 is 4,600 for an accepted picture; the others cost 10,000 and 43,500."""
IMAGES, SECONDS_A_CALL, CALLS_AT_ONCE = 4, 2.0, 8

PRIORS = {
    "as they come": {},
    "as planted": {"simulated-fal": 650_000, "simulated-replicate": 800_000, "simulated-openai": 920_000},
    "upside down": {"simulated-fal": 80_000, "simulated-replicate": 200_000, "simulated-openai": 990_000},
    "the best one hopeless": {
        "simulated-fal": 50_000,
        "simulated-replicate": 500_000,
        "simulated-openai": 950_000,
    },
}


def catalogue_with(priors: dict[str, int]) -> Catalogue:
    bundled = read_catalogue(CATALOGUE_FOLDER, SIMULATED_OFFERINGS)
    offerings = {
        name: replace(offering, pass_prior_ppm={TEMPLATE[0]: priors[name]}) if name in priors else offering
        for name, offering in bundled.offerings.items()
    }
    return Catalogue(offerings, bundled.templates)


@dataclass
class PlayedLine:
    """A pool whose calls take two seconds and pass as the simulators' do."""

    pool: OfferingPool
    clock: SetClock
    dice: random.Random

    @classmethod
    def of(cls, priors: dict[str, int], seed: int) -> PlayedLine:
        clock = SetClock(NOW)
        return cls(OfferingPool(catalogue_with(priors), clock), clock, random.Random(seed))

    @property
    def template(self) -> Template:
        return self.pool.catalogue.templates[TEMPLATE]

    def bought(self, calls: int, at_once: int) -> list[str]:
        """Keep so many calls out as long as the pool allows it; returns what each call chose."""
        out: deque[str] = deque()
        chosen: list[str] = []
        while len(chosen) < calls:
            while len(out) < at_once and (offering := self.choice()) is not None:
                self.pool.started(offering, self.template)
                out.append(offering)
                chosen.append(offering)
            self.clock.pass_s(SECONDS_A_CALL / at_once)
            if out:
                returned(self.pool, self.template, out.popleft(), self.dice)
        while out:
            returned(self.pool, self.template, out.popleft(), self.dice)
        return chosen

    def choice(self) -> str | None:
        return self.pool.choose(self.template, Mode.low_cost, width=1024, height=1024).offering


def returned(pool: OfferingPool, template: Template, offering: str, dice: random.Random) -> None:
    """Let a call come back with its pictures, and their verdicts after it."""
    pool.ended(offering, HealthSignal.success, latency_ms=int(SECONDS_A_CALL * 1000))
    states = [
        CandidateState.passed if dice.random() * 100 < PASS_PERCENT[offering] else CandidateState.rejected
        for _ in range(IMAGES)
    ]
    candidates = {
        f"c{n}": Candidate(f"c{n}", 0, n, 1, state, offering=offering) for n, state in enumerate(states)
    }
    order = accepted(template=TemplateRef(name=template.name, version=template.version))
    pool.learn(Run("task", order=order, candidates=candidates), candidates)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("priors", PRIORS.values(), ids=PRIORS)
def test_the_cheapest_accepted_output_wins_whatever_the_priors(priors: dict[str, int], seed: int) -> None:
    """A busy line spills over to what looks dearer, and so finds out; after it every lone call goes to the best one."""
    line = PlayedLine.of(priors, seed)
    line.bought(300, at_once=CALLS_AT_ONCE)
    alone = Counter(line.bought(100, at_once=1))
    assert alone[BEST] >= 95, alone


def test_priors_turned_upside_down_mislead_the_first_call() -> None:
    """Without this the test above would show nothing."""
    assert PlayedLine.of(PRIORS["as they come"], 0).choice() == BEST
    assert PlayedLine.of(PRIORS["the best one hopeless"], 0).choice() == "simulated-replicate"


@pytest.mark.parametrize("priors", PRIORS.values(), ids=PRIORS)
def test_the_learnt_rates_come_to_what_the_simulators_do(priors: dict[str, int]) -> None:
    line = PlayedLine.of(priors, 7)
    for _ in range(100):
        for offering in PASS_PERCENT:
            line.pool.started(offering, line.template)
            returned(line.pool, line.template, offering, line.dice)
    for offering, percent in PASS_PERCENT.items():
        assert abs(line.pool.pass_rate_ppm(offering) / PPM * 100 - percent) < 17, offering
