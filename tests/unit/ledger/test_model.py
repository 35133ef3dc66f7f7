"""The books against a naive model: any order of commands, repeats and time keeps both equal and conserves credits."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.ledger.domain.records import GrantRetired, Refunded, ReservationEnded
from tests.unit.ledger.books import Books
from tests.unit.ledger.builders import START, grant, grt, refund, release, reserve, rsv, settle
from tests.unit.ledger.naive_model import Model
from winnow.contracts.commands import LedgerCommand
from winnow.contracts.envelope import Message
from winnow.contracts.events import EntryRecorded, TaskFunded, TaskSettled, TaskUnfunded

PICKS = st.integers(0, 7)
SOURCES = ("promo", "plan", "topup", "rollover")


class LedgerMatchesModel(RuleBasedStateMachine):
    """Runs both side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.books = Books()
        self.model = Model()
        self.grants_count = self.names_count = self.refunds_count = 0

    def _do(self, command: LedgerCommand) -> list[Message]:
        self.model.drop_expired()
        return self.books.do(command)

    def _pick(self, pick: int, state: str) -> int:
        """Return a name: of a reservation in a state, if there is one, else any; 7 asks for one never seen."""
        names = [name for name, hold in self.model.holds.items() if hold.state == state]
        if pick == 7:
            self.names_count += 1
            return self.names_count
        everything = [*self.model.holds, *self.model.refused, *self.model.burnt]
        names = (everything if pick == 6 else names) or everything or [0]
        return names[pick % len(names)]

    @rule(
        amount=st.integers(1, 90),
        source=st.sampled_from(SOURCES),
        days=st.one_of(st.none(), st.integers(0, 6)),
    )
    def give(self, amount: int, source: str, days: int | None) -> None:
        self.grants_count += 1
        name = f"g{self.grants_count}"
        expires_at = None if days is None else self.model.now + timedelta(days=days)
        command = grant(name, amount, source=source, expires_at=expires_at)
        self._do(command)
        self.model.grant(name, amount, promo=source == "promo", expires_at=expires_at)
        self.model.drop_expired()
        assert self._do(command) == []

    @rule(amount=st.integers(1, 120), hours=st.integers(0, 150))
    def hold(self, amount: int, hours: int) -> None:
        self.names_count += 1
        self._reserve(self.names_count, amount, hours)

    @rule(pick=PICKS, amount=st.integers(1, 120), hours=st.integers(0, 150))
    def hold_again(self, pick: int, amount: int, hours: int) -> None:
        self._reserve(self._pick(pick, "ended"), amount, hours)

    def _reserve(self, name: int, amount: int, hours: int) -> None:
        expires_at = self.model.now + timedelta(hours=hours)
        messages = self._do(reserve(name, amount, expires_at=expires_at))
        answer = next(
            (message for message in messages if isinstance(message, (TaskFunded, TaskUnfunded))), None
        )
        if name in self.model.holds:
            assert answer is None
        elif self.model.reserve(name, amount, expires_at):
            assert isinstance(answer, TaskFunded)
        else:
            assert isinstance(answer, TaskUnfunded)

    @rule(pick=PICKS, amount=st.integers(0, 150), delivered=st.integers(0, 15), by=st.sampled_from("ab"))
    def charge(self, pick: int, amount: int, delivered: int, by: str) -> None:
        name = self._pick(pick, "open")
        bills = self._bills(self._do(settle(name, amount, delivered=delivered, by=by)))
        hold = self.model.holds.get(name)
        if hold is None or hold.state != "open":
            assert bills == []
            return
        charge = min(amount, len(hold.credits), delivered * hold.price)
        self.model.end(name, charge)
        assert [bill.settled_credits_micro for bill in bills] == [charge]

    @rule(pick=PICKS, reason=st.sampled_from(["cancelled", "deadline_exceeded"]), by=st.sampled_from("ab"))
    def let_go(self, pick: int, reason: str, by: str) -> None:
        name = self._pick(pick, "open")
        bills = self._bills(self._do(release(name, reason=reason, by=by)))
        hold = self.model.holds.get(name)
        if hold is None:
            self.model.burnt.add(name)
        if hold is None or hold.state != "open":
            assert bills == []
            return
        self.model.end(name, 0, grace=reason != "cancelled")
        assert [bill.settled_credits_micro for bill in bills] == [0]

    @rule(pick=PICKS, amount=st.integers(1, 60))
    def pay_back(self, pick: int, amount: int) -> None:
        charged = [name for name, hold in self.model.holds.items() if hold.charged]
        name = charged[pick % len(charged)] if charged and pick < 6 else self._pick(pick, "ended")
        self.refunds_count += 1
        messages = self._do(refund(name, amount, number=self.refunds_count))
        refunded = any(
            isinstance(message, EntryRecorded) and message.kind == "refund" for message in messages
        )
        assert refunded == self.model.refund(name, amount)

    @rule(hours=st.integers(1, 40))
    def wait(self, hours: int) -> None:
        # Short of what is remembered: forgetting has tests of its own.
        if self.model.now + timedelta(hours=hours) < START + timedelta(days=29):
            self.model.now += timedelta(hours=hours)
            self.books.now = self.model.now

    @precondition(lambda self: self.books.account.grants)
    @rule()
    def tick(self) -> None:
        self.model.drop_expired()
        due = [
            name
            for name, hold in self.model.holds.items()
            if hold.state == "open" and hold.expires_at <= self.model.now
        ]
        bills = self._bills(self.books.tick())
        for name in due:
            self.model.end(name, 0)
        assert sorted(bill.reservation_id for bill in bills) == sorted(map(rsv, due))
        # A grace leaves the state in the decision after that in which its grant left.
        assert all(isinstance(message, GrantRetired) for message in self.books.tick())
        assert self.books.tick() == []

    @invariant()
    def balances_are_equal(self) -> None:
        assert self.books.available == self.model.available()
        assert self.books.held == self.model.held()

    @invariant()
    def grants_are_equal(self) -> None:
        for lot in self.model.lots:
            if lot.name != "grace" and lot.is_live(self.model.now):
                assert self.books.left(lot.name) == lot.left
                assert grt(lot.name) in self.books.account.grants or not lot.left

    @invariant()
    def no_grant_lives_longer_than_its_one_grace(self) -> None:
        """Check that a grant's credits live until its expiry, or one day more, once, however often they came back."""
        graces = [lot for lot in self.model.lots if lot.name == "grace"]
        opened: dict[str, set[datetime]] = defaultdict(set)
        for event in self.ends():
            for grace in event.graces:
                opened[grace.of_grant_id].add(grace.expires_at)
        assert all(len(ends) == 1 for ends in opened.values())
        assert len(opened) == len(graces)
        assert not opened.keys() & self.graces_seen()

    @invariant()
    def every_credit_is_somewhere(self) -> None:
        model = self.model
        unswept = sum(lot.left for lot in model.lots if not lot.is_live(model.now))
        assert model.granted + model.refunded == (
            model.available() + model.held() + model.spent + model.gone + unswept
        )
        account = self.books.account
        assert (
            account.granted_credits_micro,
            account.settled_credits_micro,
            account.refunded_credits_micro,
        ) == (
            model.granted,
            model.spent,
            model.refunded,
        )

    @invariant()
    def every_reservation_has_one_bill_when_it_ended(self) -> None:
        for name, hold in self.model.holds.items():
            assert len(self.books.settled(name)) == (hold.state == "ended")

    def ends(self) -> list[ReservationEnded | Refunded]:
        return [*self.books.all(ReservationEnded), *self.books.all(Refunded)]

    def graces_seen(self) -> set[str]:
        events = self.ends()
        return {grace.grant_id for event in events for grace in event.graces}

    @staticmethod
    def _bills(messages: list[Message]) -> list[TaskSettled]:
        return [message for message in messages if isinstance(message, TaskSettled)]


LedgerMatchesModel.TestCase.settings = settings(max_examples=80, stateful_step_count=50, deadline=None)
TestLedgerMatchesModel = LedgerMatchesModel.TestCase
