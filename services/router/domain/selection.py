"""Selection among the passed candidates: the best K that are not near-duplicates of a better one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class SetAsideReason(StrEnum):
    """Reason why a passed candidate was not selected."""

    near_duplicate = "near_duplicate"
    surplus = "surplus"


@dataclass(frozen=True, slots=True)
class Passed:
    """A candidate that passed: its score (0..100) and its 64-bit perceptual hash as hex, if any."""

    candidate_id: str
    score: float
    perceptual_hash: str | None
    order: tuple[int, int]


@dataclass(frozen=True, slots=True)
class NotSelected:
    """A passed candidate that was not selected; ``like`` names the better one that it resembles."""

    candidate_id: str
    reason: SetAsideReason
    like: str | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected candidates, best first, and the others."""

    selected: tuple[Passed, ...]
    set_aside: tuple[NotSelected, ...]


def choose_best(passed: Sequence[Passed], k: int, *, duplicate_distance: int) -> Selection:
    """Select at most ``k``; ties go to the earlier candidate, so the same verdicts select the same.

    Greedy by score: a candidate within ``duplicate_distance`` bits of a better distinct one is set
    aside. One without a hash is distinct from all.
    """
    ranked = sorted(passed, key=lambda candidate: (-candidate.score, candidate.order))
    distinct: list[tuple[Passed, int | None]] = []
    others: list[NotSelected] = []
    selected: list[Passed] = []
    for candidate in ranked:
        bits = _bits(candidate.perceptual_hash)
        like = _resembled(bits, distinct, duplicate_distance)
        if like is not None:
            others.append(NotSelected(candidate.candidate_id, SetAsideReason.near_duplicate, like))
            continue
        distinct.append((candidate, bits))
        if len(selected) < k:
            selected.append(candidate)
        else:
            others.append(NotSelected(candidate.candidate_id, SetAsideReason.surplus))
    return Selection(tuple(selected), tuple(others))


def _bits(perceptual_hash: str | None) -> int | None:
    if not perceptual_hash:
        return None
    try:
        return int(perceptual_hash, 16)
    except ValueError:
        return None


def _resembled(bits: int | None, distinct: Sequence[tuple[Passed, int | None]], distance: int) -> str | None:
    if bits is None:
        return None
    for better, better_bits in distinct:
        if better_bits is not None and (bits ^ better_bits).bit_count() <= distance:
            return better.candidate_id
    return None
