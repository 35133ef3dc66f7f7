"""The best K, without near-duplicates."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.router.domain.selection import Passed, SetAsideReason, choose_best

hashes = st.one_of(
    st.none(),
    st.integers(0, 2**64 - 1).map(lambda bits: f"{bits:016x}"),
    st.integers(0, 7).map(lambda bits: f"{bits:016x}"),
)


@st.composite
def passed_lists(draw: st.DrawFn) -> list[Passed]:
    count = draw(st.integers(0, 25))
    return [
        Passed(f"c{n}", draw(st.sampled_from([10.0, 50.0, 50.0, 90.0])), draw(hashes), (0, n))
        for n in range(count)
    ]


def distance(a: Passed, b: Passed) -> int:
    if a.perceptual_hash is None or b.perceptual_hash is None:
        return 64
    return (int(a.perceptual_hash, 16) ^ int(b.perceptual_hash, 16)).bit_count()


@given(passed_lists(), st.integers(1, 10), st.integers(0, 20))
def test_every_passed_candidate_has_exactly_one_fate(passed: list[Passed], k: int, limit: int) -> None:
    selection = choose_best(passed, k, duplicate_distance=limit)
    chosen = [candidate.candidate_id for candidate in selection.selected]
    aside = [candidate.candidate_id for candidate in selection.set_aside]
    assert sorted(chosen + aside) == sorted(candidate.candidate_id for candidate in passed)
    assert len(chosen) <= k


@given(passed_lists(), st.integers(1, 10), st.integers(0, 20))
def test_the_selected_are_distinct_and_in_order_of_score(passed: list[Passed], k: int, limit: int) -> None:
    selected = choose_best(passed, k, duplicate_distance=limit).selected
    assert [candidate.score for candidate in selected] == sorted((o.score for o in selected), reverse=True)
    for index, candidate in enumerate(selected):
        assert all(distance(candidate, other) > limit for other in selected[:index])


@given(passed_lists(), st.integers(1, 10), st.integers(0, 20))
def test_no_one_set_aside_beats_one_selected(passed: list[Passed], k: int, limit: int) -> None:
    selection = choose_best(passed, k, duplicate_distance=limit)
    by_id = {candidate.candidate_id: candidate for candidate in passed}
    kept = {candidate.candidate_id for candidate in selection.selected}
    surplus = [o for o in selection.set_aside if o.reason is SetAsideReason.surplus]
    assert not surplus or len(kept) == k
    for candidate in selection.set_aside:
        if candidate.reason is SetAsideReason.near_duplicate:
            assert candidate.like is not None
            like = by_id[candidate.like]
            assert like.score >= by_id[candidate.candidate_id].score
            assert distance(like, by_id[candidate.candidate_id]) <= limit


@given(passed_lists(), st.integers(1, 10), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(passed: list[Passed], k: int, shuffler: object) -> None:
    shuffled = list(passed)
    shuffler.shuffle(shuffled)  # type: ignore[attr-defined]
    assert choose_best(shuffled, k, duplicate_distance=10) == choose_best(passed, k, duplicate_distance=10)


def test_the_better_of_two_look_alikes_is_kept() -> None:
    worse = Passed("worse", 70.0, "00000000000003ff", (0, 0))
    better = Passed("better", 90.0, "0000000000000000", (0, 1))
    selection = choose_best([worse, better], 2, duplicate_distance=10)
    assert [candidate.candidate_id for candidate in selection.selected] == ["better"]
    assert [(o.candidate_id, o.reason, o.like) for o in selection.set_aside] == [
        ("worse", SetAsideReason.near_duplicate, "better")
    ]
    apart = choose_best([worse, better], 2, duplicate_distance=9)
    assert len(apart.selected) == 2


def test_look_alikes_at_the_distance_count_once() -> None:
    passed = [Passed("a", 90.0, f"{0:016x}", (0, 0)), Passed("b", 80.0, f"{0b111:016x}", (0, 1))]
    assert [
        candidate.candidate_id for candidate in choose_best(passed, 2, duplicate_distance=3).selected
    ] == ["a"]
    assert [
        candidate.candidate_id for candidate in choose_best(passed, 2, duplicate_distance=2).selected
    ] == ["a", "b"]
