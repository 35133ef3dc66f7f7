"""delivery: finishes what was selected, hands it out, and tells the client that a task has ended.

Decides: the end of a task from ``task.selected`` on and its charge, the names and life of output objects.
It also decides the life of links and the schedule of webhooks.
Reads: ``winnow.tasks.v1`` (selections; every end of a task, its own included).
Writes: ``task.delivered``, ``task.partially_delivered``, ``task.failed`` to ``winnow.tasks.v1``;
``SettleCredits`` and ``ReleaseCredits`` to ``winnow.ledger.commands.v1``.
Owns: the journal of task deliveries, the webhook endpoints, the index of outputs and of webhook
deliveries, and the bucket of outputs.
Called by: ingest, over gRPC (links, endpoints, the delivery log, redelivery).
"""
