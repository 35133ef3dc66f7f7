"""Messages and journal inserts of one large order, counted on the whole line in a simulated world without faults."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import ceil

import pytest

from services.router.domain.catalogue import Catalogue, ModePolicy, RoundPolicy, SelectionPolicy, Template
from tests.simulation import builders, client, run, services
from tests.simulation.run import Run
from tests.simulation.script import Order, Script
from winnow.contracts.values import Mode

IMAGES_A_CALL = 4
OF_THE_GRANT = 2
"""Messages about the credits that pay for it: the command and its entry; each is a journal insert, too."""
STEPS = 11
"""Inserts that any order needs: placed; stage opened, and closed; funded, settled; taken up by the router, and told that
it is funded, which plans and submits; and of delivery: selected, finished, settled, told."""


def _catalogue(candidates: int) -> Catalogue:
    """One offering that looks hopeless, so that a single round of exactly ``candidates`` is planned."""
    offering = replace(
        builders.offering("direct", 3000, is_async=False),
        pass_prior_ppm={builders.TEMPLATE: 20_000},
        max_n=IMAGES_A_CALL,
        concurrency_limit=1000,
    )
    rounds = RoundPolicy(
        capability="image.portrait",
        selection=SelectionPolicy.best_k,
        rounds_max=1,
        candidates_max=candidates,
        duplicate_distance=0,
        pass_rate_prior_ppm=20_000,
    )
    modes = {mode: ModePolicy() for mode in Mode}
    return Catalogue(
        {"direct": offering}, {(builders.TEMPLATE, 1): Template(builders.TEMPLATE, 1, rounds, modes)}
    )


def _played(k: int, candidates: int, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(services, "CATALOGUE", _catalogue(candidates))
    for module in (client, run):
        monkeypatch.setattr(module, "COST_CAP_USD_MICRO", 10**9)
    order = Order(number=0, account=0, k=k, at_s=0, mode="fast", pass_percent=100, deadline_s=600)
    script = Script(
        1, (order,), (10 * k,), (), refusals_percent=0, attempts_max=candidates, measuring_s=0.1, shards=2
    )
    played = Run(script)
    outcome = played.play()
    assert outcome.broken is None, outcome.text
    return played


def _types(played: Run) -> Counter[str]:
    return Counter(
        dict(record.headers)["type"].decode() for log in played.cluster.logs.values() for record in log
    )


def _blocks(played: Run) -> Counter[str]:
    return Counter(
        {
            f"{service} {name}": len(storage.rows)
            for service, collections in played.line.storages.items()
            for name, storage in collections.items()
            if name.endswith("journal")
        }
    )


@pytest.mark.parametrize(("k", "candidates"), [(60, 240), (60, 960)])
def test_messages_and_journal_inserts_of_a_large_order(
    k: int, candidates: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures come back call by call over 1.5 s, and a picture takes the scorer about 0.1 s."""
    played = _played(k, candidates, monkeypatch)
    types, blocks = _types(played), _blocks(played)
    calls, chunks = ceil(candidates / IMAGES_A_CALL), types["ScoreCandidates"]
    assert types["attempt.submitted"] == types["attempt.finished"] == calls

    messages = types.total() - OF_THE_GRANT
    assert messages <= 1.2 * (3 + 3 * calls)

    inserts = blocks.total() - OF_THE_GRANT
    # Each answer from outside may come alone, and is written before anything follows from it.
    assert inserts <= STEPS + calls + chunks
    assert inserts <= 1.2 * (STEPS + calls)
