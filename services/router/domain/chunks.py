"""Chunks of candidates for the scorer: what came while the last chunk was being scored is the next one."""

from __future__ import annotations

from typing import Final

from services.router.domain.decision_builder import RunDecisionBuilder
from services.router.domain.run import Candidate, CandidateState, ChunkSent, Phase, Run
from winnow.contracts.commands import ScoreCandidates
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.values import GeneratedCandidate

CHUNK_MAX: Final = 32
"""Candidates in one chunk. Two calls of four pictures a chunk would already halve the messages; a chunk is scored in
parallel, but its verdicts come together, so it must not grow to a round."""


def send_chunks(builder: RunDecisionBuilder) -> None:
    """Send what waits for the scorer.

    At once when none of the run's chunks is out, so that a scorer with time never waits; when a chunk is full; and
    when no more can come. Else it waits for the verdicts of the chunk that is out, and goes with what came meanwhile.
    """
    while waiting := _waiting(builder.run):
        is_last = not builder.run.outstanding and not builder.run.pending
        if builder.run.chunks and len(waiting) < CHUNK_MAX and not is_last:
            return
        _send(builder, waiting[:CHUNK_MAX])


def _waiting(run: Run) -> list[Candidate]:
    """Return the generated candidates that are in no chunk, all of one round."""
    if run.phase is not Phase.running:
        return []
    sent = {candidate_id for ids in run.chunks.values() for candidate_id in ids}
    waiting = [
        candidate
        for candidate in run.candidates.values()
        if candidate.state is CandidateState.generated and candidate.candidate_id not in sent
    ]
    return [candidate for candidate in waiting if candidate.round_index == waiting[0].round_index]


def _send(builder: RunDecisionBuilder, candidates: list[Candidate]) -> None:
    order = builder.order
    ids = [candidate.candidate_id for candidate in candidates]
    chunk_id = derive_id(Prefix.chunk, *ids)
    builder.add(ChunkSent(task_id=order.task_id, chunk_id=chunk_id, candidate_ids=ids))
    builder.add(
        ScoreCandidates(
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
    )
