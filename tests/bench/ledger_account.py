"""Cost of a decision on an account that has had 1 to 100,000 tasks: ``python -m tests.bench.ledger_account``.

Prints the median CPU time of a reservation, a settlement and a refund after each number of tasks, and their ratio to
that of a fresh account, taken in turns. The journal's own cost is left out: it does not know the account's age.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from pydantic import TypeAdapter

from services.ledger.domain import retired
from services.ledger.domain.account import Account, Retired
from services.ledger.domain.decide import decide
from services.ledger.domain.evolve import evolve
from services.ledger.domain.retired import RETIRED_RULES
from tests.unit.ledger.builders import ACCOUNT, START, grant, refund, reserve, settle
from winnow.contracts.commands import LedgerCommand
from winnow.contracts.envelope import Event
from winnow.eventstore.entities import Entities

POINTS = (1, 1_000, 10_000, 100_000)
SAMPLES = 200


class Books:
    """An account, and its entities as text, as a store would have them."""

    def __init__(self) -> None:
        self.account = Account(ACCOUNT)
        self._stored: dict[str, bytes] = {}
        self._entities: Entities[Account, Retired] = Entities(RETIRED_RULES)
        self.do(grant("paid", 100_000_000))

    def do(self, command: LedgerCommand) -> float:
        """Decide and fold a command; return the CPU seconds that both took, without the store's part."""
        found = self._entities.gather(self.account, command, self._find)
        fresh: dict[str, Retired] = {}
        started_s = time.process_time()
        for message in decide(self.account, command, START, found):
            assert isinstance(message, Event)
            fresh |= retired.changed(self.account, message, START, found.get)
            self.account = evolve(self.account, message, START)
        took_s = time.process_time() - started_s
        self._stored |= {name: _RETIRED.dump_json(value) for name, value in fresh.items()}
        return took_s

    def _find(self, name: str) -> Retired | None:
        body = self._stored.get(name)
        return None if body is None else _RETIRED.validate_json(body)


def main() -> None:
    """Play the tasks and print the table; each sample of the old account has one of a fresh account beside it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=POINTS[-1])
    last = parser.parse_args().tasks
    old, played = Books(), 0
    print(f"n = {SAMPLES} decisions each; median CPU µs, of a fresh account beside it, ratio")
    for point in (count for count in POINTS if count <= last):
        for number in range(played, point):
            old.do(reserve(number, 10, expires_at=START + timedelta(days=300)))
            old.do(settle(number, 10))
        played, fresh = point, Books()
        row = []
        for kind, make in _KINDS.items():
            commands = [make(f"{point}-{number}") for number in range(SAMPLES)]
            pairs = [(old.do(command), fresh.do(command)) for command in commands]
            aged, new = (statistics.median(times) * 1e6 for times in zip(*pairs, strict=True))
            row.append(f"{kind} {aged:.0f} / {new:.0f} = {aged / new:.2f}")
        print(f"{point:>7} tasks: {', '.join(row)}", flush=True)


_KINDS: Final[dict[str, Callable[[str], LedgerCommand]]] = {
    "reserve": lambda name: reserve(name, 10),
    "settle": lambda name: settle(name, 10),
    "refund": lambda name: refund(name, 1),
}
_RETIRED: Final[TypeAdapter[Retired]] = TypeAdapter(Retired)


if __name__ == "__main__":
    main()
