"""The router: turns a funded task into passed candidates at the least price per accepted output.

Decides:  how many candidates a round has, which offering makes each attempt, retries and fallback,
          when a round is closed, whether to regenerate or stop, and which passed candidates are
          selected. From ``task.funded`` to ``task.selected`` it alone ends a task.
Reads:    winnow.tasks.v1.
Writes:   winnow.tasks.v1 (round.planned, attempt.submitted, attempt.finished,
          candidates.generated, candidates.failed, round.closed, task.selected, task.failed,
          task.cancelled), winnow.scorer.commands.v1 (ScoreCandidates),
          winnow.ledger.commands.v1 (ReleaseCredits).
Owns:     the journal of task runs; candidates/ in the private bucket.
Called by: ingest over gRPC (cost quotes, offerings, queue position) and operators (drain).
"""
