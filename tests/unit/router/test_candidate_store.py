"""Health signal of an attempt without a usable image."""

from __future__ import annotations

import pytest

from services.router.app.candidate_store import signal_of_none_whole
from services.router.domain.health import HealthSignal
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.values import FailedCandidate


@pytest.mark.parametrize(
    ("reasons", "signal"),
    [
        (["not_decodable"], HealthSignal.fault),
        (["link_expired", "not_collected"], HealthSignal.fault),
        (["filtered", "image_missing"], HealthSignal.fault),
        (["filtered", "filtered"], HealthSignal.success),
        (["not_stored"], HealthSignal.neutral),
        (["not_stored", "not_decodable"], HealthSignal.neutral),
    ],
)
def test_useless_images_count_against_the_offering_and_our_own_store_does_not(
    reasons: list[str], signal: HealthSignal
) -> None:
    failed = [
        FailedCandidate(candidate_id=derive_id(Prefix.candidate, n), reason=reason)
        for n, reason in enumerate(reasons)
    ]
    assert signal_of_none_whole(failed, generated_count=0) is signal


def test_images_that_are_all_cut_short_count_against_the_offering() -> None:
    assert signal_of_none_whole([], generated_count=2) is HealthSignal.fault
