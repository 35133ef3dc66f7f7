"""The ledger: the double-entry books of credits and of provider cost.

Decides:  grants and their burn order, reservations, settlement, release, refunds, expiry, and what an
          output costs. A reservation ends exactly once, whoever ends it; a balance never goes below zero.
Reads:    winnow.ledger.commands.v1 (GrantCredits, ReserveCredits, SettleCredits, ReleaseCredits,
          RefundCredits).
Writes:   winnow.accounts.v1 (entry.recorded), winnow.tasks.v1 (task.funded, task.unfunded, task.settled).
Owns:     the journal of accounts; ``entries``, a view of it for statements and lists; the price lists in ``prices/``.
Called by: ingest over gRPC (quotes, balances, entries).
"""
