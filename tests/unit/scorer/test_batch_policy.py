"""Departure of a batch, over any times and rows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.scorer.inference.batch_policy import (
    Batch,
    BatchStep,
    Waiting,
    batch_sizes,
    filled_up,
    fitting,
    next_step,
)

WAIT_S = 0.01


def bucket(*arrived_s: float, rows: int = 1, rows_max: int = 4) -> Batch:
    return Batch(rows_max, [Waiting(rows, at) for at in arrived_s])


def test_nothing_waits() -> None:
    assert next_step({}, 0, WAIT_S) is None
    assert next_step({"a": bucket()}, 0, WAIT_S) is None


def test_a_lonely_request_goes_when_it_has_waited() -> None:
    assert next_step({"a": bucket(1.0)}, 1.004, WAIT_S) == 1.0 + WAIT_S - 1.004
    assert next_step({"a": bucket(1.0)}, 1.0 + WAIT_S, WAIT_S) == BatchStep("a", 1)


def test_a_full_bucket_goes_at_once_and_takes_no_more_than_fits() -> None:
    assert next_step({"a": bucket(1, 1, 1, 1, 1)}, 1.0, WAIT_S) == BatchStep("a", 4)
    assert next_step({"a": bucket(1, 1, rows=3)}, 1.0, WAIT_S) == BatchStep("a", 1)


def test_of_several_due_the_one_that_came_first_goes() -> None:
    busy, quiet = bucket(2, 2, 2, 2), bucket(1.0)
    assert next_step({"busy": busy, "quiet": quiet}, 2.0, WAIT_S) == BatchStep("quiet", 1)
    assert next_step({"busy": busy, "quiet": bucket(1.999)}, 2.0, WAIT_S) == BatchStep("busy", 4)


def test_at_the_close_nothing_waits_any_longer() -> None:
    assert next_step({"a": bucket(1.0)}, 1.0, WAIT_S, closing=True) == BatchStep("a", 1)


rows = st.lists(st.integers(1, 8), min_size=1, max_size=20)


@given(rows, st.integers(8, 64))
def test_what_fits_is_a_prefix_that_could_not_be_longer(each: list[int], rows_max: int) -> None:
    waiting = [Waiting(size, 0.0) for size in each]
    count = fitting(Batch(rows_max, waiting))
    assert 1 <= count <= len(each)
    assert sum(each[:count]) <= rows_max
    assert count == len(each) or sum(each[: count + 1]) > rows_max


@given(
    st.dictionaries(
        st.sampled_from("abc"),
        st.lists(st.floats(0, 10), min_size=1, max_size=9).map(lambda times: bucket(*sorted(times))),
        min_size=1,
    ),
    st.floats(10, 10.02),
)
def test_nobody_waits_longer_than_agreed_when_the_device_is_free(
    buckets: dict[str, Batch], now_s: float
) -> None:
    step = next_step(buckets, now_s, WAIT_S)
    oldest = min(waiting.waiting[0].arrived_s for waiting in buckets.values())
    if isinstance(step, BatchStep):
        first = buckets[step.key].waiting[0].arrived_s
        assert now_s - first >= WAIT_S or len(buckets[step.key].waiting) >= 4
        assert first <= oldest or now_s - oldest < WAIT_S
    else:
        assert step is not None
        assert step <= WAIT_S
        assert now_s + step >= oldest + WAIT_S - 1e-9


@given(st.integers(1, 256), st.integers(1, 256))
def test_batches_are_filled_up_to_few_sizes(rows_max: int, count: int) -> None:
    sizes = batch_sizes(rows_max)
    assert sizes[-1] == rows_max
    assert len(sizes) <= 9
    if count <= rows_max:
        size = filled_up(count, rows_max)
        assert size in sizes
        assert count <= size < 2 * count or count == 1 == size
