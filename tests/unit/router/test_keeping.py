"""Health signal of an attempt without a usable image."""

from __future__ import annotations

import pytest

from services.router.app.keeping import sign_of_none_kept
from services.router.domain.health import Sign
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.values import FailedCandidate


@pytest.mark.parametrize(
    ("reasons", "sign"),
    [
        (["not_decodable"], Sign.fault),
        (["link_expired", "not_collected"], Sign.fault),
        (["filtered", "image_missing"], Sign.fault),
        (["filtered", "filtered"], Sign.success),
        (["not_stored"], Sign.neutral),
        (["not_stored", "not_decodable"], Sign.neutral),
    ],
)
def test_useless_images_count_against_the_offering_and_our_own_store_does_not(
    reasons: list[str], sign: Sign
) -> None:
    failed = [
        FailedCandidate(candidate_id=derive_id(Prefix.candidate, n), reason=reason)
        for n, reason in enumerate(reasons)
    ]
    assert sign_of_none_kept(failed) is sign
