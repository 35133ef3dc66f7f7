"""Chunks of candidates for the scorer, and their verdicts.

Candidates that come while a chunk is being scored form the next chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.router.domain.messages import ChunkSent, NotedScore, ScoresNoted
from services.router.domain.run import (
    Candidate,
    CandidateState,
    Phase,
    Run,
)
from winnow.contracts.commands import ScoreCandidates
from winnow.contracts.envelope import Message
from winnow.contracts.events import CandidatesScored
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.values import GeneratedCandidate

CHUNK_MAX: Final = 32
"""Candidates in one chunk. Two calls of four pictures a chunk would already halve the messages; a chunk is scored in
parallel, but its verdicts come together, so it must not grow to a round."""


def send_chunks(run: Run) -> Sequence[Message]:
    """Send what waits for the scorer.

    A chunk goes at once when none of the run's chunks is out, so that a scorer with time never waits. It also
    goes when it is full, and when no more candidates can come. Else it waits for the verdicts of the chunk
    that is out, and goes with what came meanwhile.
    """
    messages: list[Message] = []
    waiting = _waiting(run)
    is_last = not run.outstanding and not run.pending
    while waiting:
        chunk = [candidate for candidate in waiting if candidate.round_index == waiting[0].round_index]
        is_out = bool(run.chunks or messages)
        if is_out and len(chunk) < CHUNK_MAX and not is_last:
            break
        chunk = chunk[:CHUNK_MAX]
        messages += _chunk(run, chunk)
        waiting = [candidate for candidate in waiting if candidate not in chunk]
    return messages


def note_scores(run: Run, scored: CandidatesScored) -> Sequence[Message]:
    """Note the verdicts of a chunk: those on its own candidates count."""
    noted = [
        NotedScore(
            candidate_id=candidate.candidate_id,
            passed=candidate.passed,
            score=candidate.score,
            perceptual_hash=candidate.perceptual_hash,
        )
        for candidate in scored.candidates
        if candidate.candidate_id in run.chunks[scored.chunk_id]
    ]
    return (ScoresNoted(chunk_id=scored.chunk_id, candidates=noted),)


def _waiting(run: Run) -> list[Candidate]:
    """Return the generated candidates that are in no chunk."""
    if run.phase is not Phase.running:
        return []
    sent = {candidate_id for ids in run.chunks.values() for candidate_id in ids}
    return [
        candidate
        for candidate in run.candidates.values()
        if candidate.state is CandidateState.generated and candidate.candidate_id not in sent
    ]


def _chunk(run: Run, candidates: Sequence[Candidate]) -> tuple[Message, Message]:
    order = run.known_order
    ids = [candidate.candidate_id for candidate in candidates]
    chunk_id = derive_id(Prefix.chunk, *ids)
    sent = ChunkSent(task_id=order.task_id, chunk_id=chunk_id, candidate_ids=ids)
    command = ScoreCandidates(
        command_id=derive_id(Prefix.command, "score", chunk_id),
        chunk_id=chunk_id,
        task_id=order.task_id,
        account_id=order.account_id,
        round_index=candidates[0].round_index,
        profile=order.profile,
        candidates=[
            GeneratedCandidate(
                candidate_id=candidate.candidate_id, stored=candidate.stored, seed=candidate.seed
            )
            for candidate in candidates
            if candidate.stored is not None
        ],
        request=order.request,
        inputs=order.inputs,
    )
    return sent, command
