"""ingest: the public door, and the read model behind it.

Decides: who may ask (API keys, scopes, rate), and the end of a task that was never funded (rejected,
cancelled).
It also decides whether an order is taken (template, mode, profile, bounds, prompt rule, cost cap, credits).
Reads: ``winnow.tasks.v1`` (tasks up to their funding; the read model), ``winnow.accounts.v1`` (refused
refunds; entries, to wake who waits for them).
Writes: ``task.accepted``, ``task.cancel_requested``, ``task.rejected``, ``task.cancelled``; the commands
``ReserveCredits``, ``ReleaseCredits``, ``GrantCredits``, ``RefundCredits`` to the ledger.
Owns: its journal, API keys, screened inputs, and the read model (tasks, candidates, task events,
refused refunds).
The read model can be dropped and folded again from the topics.
Asks: ledger (price, balance, entries), router (cost, offerings), scorer (screen), delivery (links, webhooks) by gRPC.
Called by: clients over HTTP; it is the only public API.
"""
