"""Order of turns: tiers, ageing, and fairness by cost."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from services.router.domain.fair_order import AGEING_S, FairOrder, Waiting, position_of


def waiting(
    account: str, number: int, cost: int = 12_000, priority: int = 5, waited_s: float = 0.0
) -> Waiting:
    return Waiting(f"{account}-{number}", account, priority, cost, waited_s)


def jain(shares: list[float]) -> float:
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))


def test_a_flood_of_one_account_leaves_the_others_their_share() -> None:
    flood = [waiting("acct_flood", n) for n in range(2000)]
    others = [waiting(f"acct_{who}", n) for who in range(20) for n in range(20)]
    order = FairOrder()
    first = list(islice(order.take(flood + others), 400))
    shares = Counter(turn.account_id for turn in first)
    assert jain([float(count) for count in shares.values()]) >= 0.98
    assert len(shares) == 21


def test_shares_are_of_cost_not_of_count() -> None:
    costs = {"acct_a": 4_000, "acct_b": 16_000, "acct_c": 64_000}
    queue = [waiting(a, n, cost) for a, cost in costs.items() for n in range(2000)]
    spent: Counter[str] = Counter()
    for turn in islice(FairOrder().take(queue), 1500):
        spent[turn.account_id] += turn.cost_usd_micro
    assert set(spent) == set(costs)
    assert jain([float(share) for share in spent.values()]) >= 0.98


def test_turns_go_on_over_many_small_takes() -> None:
    order = FairOrder()
    queue = [waiting(f"acct_{who}", n) for who in range(5) for n in range(60)]
    shares: Counter[str] = Counter()
    for _ in range(100):
        turn = next(iter(order.take(queue)))
        queue.remove(turn)
        shares[turn.account_id] += 1
    assert jain([float(count) for count in shares.values()]) >= 0.98


def test_a_higher_tier_goes_first_and_waiting_lifts_a_lower_one() -> None:
    urgent = waiting("acct_a", 1, priority=6)
    usual = waiting("acct_b", 1, priority=5)
    assert [o.task_id for o in FairOrder().take([usual, urgent])] == ["acct_a-1", "acct_b-1"]
    aged = waiting("acct_b", 1, priority=5, waited_s=2 * AGEING_S)
    assert [o.task_id for o in FairOrder().take([urgent, aged])] == ["acct_b-1", "acct_a-1"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 200_000), st.integers(0, 9)), max_size=40))
def test_everything_that_waits_is_taken_once(entries: list[tuple[str, int, int]]) -> None:
    queue = [
        Waiting(str(n), f"acct_{who}", priority, cost, 0.0) for n, (who, cost, priority) in enumerate(entries)
    ]
    taken = list(FairOrder().take(queue))
    assert sorted(turn.task_id for turn in taken) == sorted(turn.task_id for turn in queue)
    assert [turn.tier for turn in taken] == sorted((o.tier for o in queue), reverse=True)


def test_inside_an_account_the_first_comes_first() -> None:
    queue = [waiting("acct_a", n) for n in range(10)]
    assert list(FairOrder().take(queue)) == queue


def test_a_position_takes_no_turn() -> None:
    order = FairOrder()
    queue = [waiting("acct_a", 1), waiting("acct_a", 2), waiting("acct_b", 1)]
    before = (dict(order.deficits), order.last_account)
    places = {turn.task_id: position_of(turn.task_id, order.copy().take(queue)) for turn in queue}
    assert sorted(places.values()) == [1, 2, 3]
    assert (order.deficits, order.last_account) == before
    assert position_of("nobody", order.copy().take(queue)) == 0


def test_a_turn_that_was_given_back_costs_nothing() -> None:
    order = FairOrder()
    queue = [waiting("acct_a", n) for n in range(2)]
    turn = next(iter(order.take(queue)))
    paid = order.deficits["acct_a"]
    order.give_back(turn)
    assert order.deficits["acct_a"] == paid + turn.cost_usd_micro
