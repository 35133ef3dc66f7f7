"""Metrics of the runtime, declared in one place; labels come from closed sets, never ids."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

JOURNAL_BLOCKS = Counter("winnow_journal_blocks_total", "Blocks committed.")
JOURNAL_DECISIONS = Counter("winnow_journal_decisions_total", "Decisions committed.")
JOURNAL_CONFLICTS = Counter("winnow_journal_conflicts_total", "Blocks not committed, by reason.", ["reason"])
JOURNAL_DUPLICATES = Counter("winnow_journal_duplicates_total", "Inputs that were decided before.")
JOURNAL_COMMIT = Histogram(
    "winnow_journal_commit_seconds",
    "Time to insert a batch of blocks.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5),
)
JOURNAL_UNSENT = Gauge(
    "winnow_journal_unsent_blocks", "Committed blocks whose messages are not on the bus yet."
)
JOURNAL_OPEN = Gauge("winnow_journal_open_aggregates", "Aggregates in memory.")
JOURNAL_HELD = Gauge(
    "winnow_journal_held_shards", "Shards that wait because this build cannot read an event of their journal."
)
JOURNAL_REFOLDED = Counter(
    "winnow_journal_refolded_states_total", "Stored states of another version, folded from the journal anew."
)
DATABASE_CALLS = Counter(
    "winnow_database_calls_total",
    "Calls to the database, by operation (the server's command) and collection.",
    ["operation", "collection"],
)
DATABASE_DOCUMENTS = Counter(
    "winnow_database_documents_total",
    "Documents inserted, changed or deleted, by operation and collection.",
    ["operation", "collection"],
)
DATABASE_RETRIES = Counter("winnow_database_retries_total", "Calls to the database that were tried again.")
BUS_RECEIVED = Counter("winnow_bus_received_total", "Records read.", ["topic"])
BUS_SENT = Counter("winnow_bus_sent_total", "Messages acknowledged by the bus.", ["topic"])
BUS_SEND_FAILURES = Counter("winnow_bus_send_failures_total", "Sends that failed or are unknown.", ["topic"])
BUS_DEAD_LETTERS = Counter(
    "winnow_bus_dead_letters_total", "Dead-lettered records, by reason class.", ["topic", "reason"]
)
BUS_NEWER = Counter(
    "winnow_bus_newer_records_total",
    "Records skipped because their version is newer than this build knows.",
    ["topic", "type"],
)
BUS_HANDLER_FAILURES = Counter("winnow_bus_handler_failures_total", "Batches that failed and are read again.")
BUS_LAG = Gauge("winnow_bus_lag_records", "Records behind the end of a partition.", ["topic", "partition"])
HTTP_CONNECTIONS_CLOSED = Counter(
    "winnow_http_connections_closed_total", "HTTP connections closed by a deadline or a limit.", ["limit"]
)
OBJECT_CALLS = Counter("winnow_object_calls_total", "Calls to the object store, by operation.", ["operation"])
