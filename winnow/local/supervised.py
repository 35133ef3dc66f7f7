"""One process under supervision: started, waited for while it makes progress, started again, given up."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from winnow.local import progress
from winnow.local.process import Managed, ServerDidNotStart, ServerEnded
from winnow.local.record import Exit, ProcessState
from winnow.local.restarts import NO_RESTARTS, Failure, Restart, RestartPolicy, decide

NO_PROGRESS_S: Final = 60.0
LOOK_EVERY_S: Final = 0.05
_LOOK_SELDOM_S: Final = 1.0
"""A probe costs CPU time in the process it asks, so one that stands still is asked seldom."""


class State(StrEnum):
    """State of a process in its life; the texts stand in the record and on the terminal."""

    starting = "starting"
    ready = "ready"
    restarting = "restarting"
    given_up = "given up"
    stopped = "stopped"


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer of a process: whether it is ready, and in its own words what is missing."""

    is_ready: bool
    text: str = ""


Probe = Callable[[], Answer]
Notice = Callable[[str], None]
"""Takes a sentence for the person at the terminal."""


class Supervised:
    """A process with the state that supervision gives it. Not thread-safe: one thread looks at a time."""

    def __init__(
        self,
        process: Managed,
        probe: Probe,
        *,
        kind: str,
        address: str = "",
        is_needed: bool = True,
        needs: Sequence[str] = (),
        no_progress_s: float = NO_PROGRESS_S,
    ) -> None:
        """Describe it; nothing starts.

        ``needs`` names processes that must be ready before it is started again. Without one that ``is_needed``
        the line cannot start.
        """
        self.process = process
        self.needs = tuple(needs)
        self.is_needed = is_needed
        self.state = State.stopped
        self.restarts = 0
        self.error: ServerDidNotStart | None = None
        """Why it was given up."""
        self._probe = probe
        self._kind = kind
        self._address = address
        self._no_progress_s = no_progress_s
        self._failures = 0
        self._last_exit: Exit | None = None
        self._since = _utc_now()
        self._started_s = self._ready_s = self._restart_at_s = self._look_at_s = self._measure_at_s = 0.0
        self._patience = progress.Patience(no_progress_s, 0.0)

    @property
    def name(self) -> str:
        """Return the name of the process."""
        return self.process.name

    @property
    def is_settled(self) -> bool:
        """Return whether nothing more is waited for: it is ready, or it was given up."""
        return self.state in {State.ready, State.given_up}

    def describe(self) -> ProcessState:
        """Return its part of the record."""
        runs = self.state in {State.starting, State.ready}
        return ProcessState(
            name=self.name,
            kind=self._kind,
            state=self.state.value,
            pid=self.process.pid if runs else 0,
            restarts=self.restarts,
            since=self._since,
            address=self._address,
            log=str(self.process.log),
            last_exit=self._last_exit,
        )

    def start(self) -> None:
        """Start it; raises ServerDidNotStart when the program cannot be run at all."""
        self.launched()
        self.process.start()

    def launched(self) -> None:
        """Note that it is being started."""
        self._started_s = self._look_at_s = self._measure_at_s = time.monotonic()
        self._patience = progress.Patience(self._no_progress_s, self._started_s)
        self._enter(State.starting)

    def stopped(self) -> None:
        """Note that it was asked to end."""
        self._enter(State.stopped)

    def wait_ready(self) -> None:
        """Wait for it alone; raises ServerDidNotStart when it ends or makes no progress."""
        while self.state is State.starting:
            self.look(NO_RESTARTS)
            if self.state is State.starting:
                time.sleep(LOOK_EVERY_S)
        if self.error is not None:
            raise self.error

    def look(self, policy: RestartPolicy, *, may_start: bool = True, notice: Notice = lambda _: None) -> None:
        """Take the next step of its life, if one is due."""
        now_s = time.monotonic()
        if self.state is State.starting and now_s >= self._look_at_s:
            self._look_starting(policy, notice)
        elif self.state is State.ready and self.process.exit_code is not None:
            error = ServerEnded(self.name, f"its status was {self.process.exit_code}", self.process.log)
            self._fail(error, policy, notice)
        elif self.state is State.restarting and now_s >= self._restart_at_s and may_start:
            self.restarts += 1
            try:
                self.start()
            except ServerDidNotStart as error:
                self._fail(error, policy, notice)

    def _look_starting(self, policy: RestartPolicy, notice: Notice) -> None:
        answer = self._probe()
        now_s = time.monotonic()
        # Whoever answers in place of a process that has ended does not count.
        if self.process.exit_code is not None:
            reason = f"it ended with status {self.process.exit_code}"
            self._fail(ServerDidNotStart(self.name, reason, self.process.log), policy, notice)
        elif answer.is_ready:
            self._ready_s = now_s
            self._enter(State.ready)
            if self.restarts:
                notice(f"{self.name} is ready again after {now_s - self._started_s:.1f} s.")
        elif self._stands_still(answer, now_s):
            still_s = self._patience.still_s(now_s)
            self.process.kill()
            reason = (
                f"it made no progress for {still_s:.0f} s: neither its log nor its CPU time"
                " nor its answer moved (WINNOW_LOCAL_NO_PROGRESS_S)"
            )
            self._fail(ServerDidNotStart(self.name, reason, self.process.log), policy, notice)
        else:
            self._look_at_s = now_s + min(_LOOK_SELDOM_S, self._patience.still_s(now_s) / 10)

    def _stands_still(self, answer: Answer, now_s: float) -> bool:
        if now_s < self._measure_at_s:
            return False
        # All of /proc is read for it.
        self._measure_at_s = now_s + min(_LOOK_SELDOM_S, self._no_progress_s / 10)
        seen = progress.Activity(
            progress.log_bytes(self.process.log), progress.cpu_s(self.process.pid), answer.text
        )
        return self._patience.is_over(seen, now_s)

    def _fail(self, error: ServerDidNotStart, policy: RestartPolicy, notice: Notice) -> None:
        now_s = time.monotonic()
        was_ready = self.state is State.ready
        self._last_exit = _exit_of(self.process.exit_code)
        ready_for_s = now_s - self._ready_s if was_ready else None
        decision = decide(policy, Failure(self.name, self._failures, ready_for_s))
        self._failures = decision.failures
        if isinstance(decision, Restart):
            self._restart_at_s = now_s + decision.wait_s
            self._enter(State.restarting)
            notice(
                f"{self.name} {_ending(error, self._last_exit)}; it is started again in {decision.wait_s:.1f} s"
                f" (failure {decision.failures}, given up at {policy.failures_max} in a row)."
            )
            return
        self.error = error
        self._enter(State.given_up)
        if policy.failures_max > 1:
            notice(
                f"{self.name} is given up after {decision.failures} failures in a row; the rest goes on without it."
                f" Mend the cause, then `winnow down` and `winnow up`. {error}"
            )

    def _enter(self, state: State) -> None:
        self.state, self._since = state, _utc_now()


def _ending(error: ServerDidNotStart, exit_: Exit | None) -> str:
    how = "" if exit_ is None else f" ({exit_.signal or f'status {exit_.status}'})"
    return f"{error.happened}{how}"


def _exit_of(status: int | None) -> Exit | None:
    if status is None:
        return None
    return Exit(status, signal.Signals(-status).name if status < 0 else "", _utc_now())


def _utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
