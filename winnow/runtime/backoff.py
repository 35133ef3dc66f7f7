"""Back-off of retries: waits that double up to a limit, spread by jitter that is derived and not drawn."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


def jittered_s(wait_s: float, holder: str, attempt: int) -> float:
    """Return between half and all of a wait: always the same for a holder's attempt, another for another holder."""
    drawn = hashlib.blake2b(f"{holder}:{attempt}".encode(), digest_size=4).digest()
    return wait_s * (0.5 + int.from_bytes(drawn) / 2**33)


@dataclass(slots=True)
class Backoff:
    """The waits of one retry loop; ``holder`` names the process and the loop, so that those that failed together part."""

    holder: str
    first_s: float
    max_s: float
    attempt: int = 0

    def next_s(self) -> float:
        """Return how long to wait before the next attempt."""
        self.attempt += 1
        # A power without a bound would pass the range of a float after a thousand attempts.
        wait_s = min(self.max_s, self.first_s * 2.0 ** min(self.attempt - 1, 64))
        return jittered_s(wait_s, self.holder, self.attempt)

    def reset(self) -> None:
        """Begin anew after a success."""
        self.attempt = 0
