"""Counts are read from a service's metrics, by kind and detail; what the clock causes is left out."""

from __future__ import annotations

from collections import Counter

from tests.bench.counts import Counts, read_metrics

METRICS = """\
# HELP winnow_database_calls_total Calls to the database.
# TYPE winnow_database_calls_total counter
winnow_database_calls_total{collection="journal",operation="insert"} 5.0
winnow_database_calls_total{collection="store_leases",operation="find"} 9.0
# HELP winnow_database_documents_total Documents.
# TYPE winnow_database_documents_total counter
winnow_database_documents_total{collection="journal",operation="insert"} 5.0
winnow_database_documents_total{collection="tasks",operation="insert"} 2.0
winnow_database_documents_total{collection="tasks",operation="update"} 7.0
# HELP winnow_journal_blocks_total Blocks committed.
# TYPE winnow_journal_blocks_total counter
winnow_journal_blocks_total 4.0
# HELP winnow_bus_received_total Records read.
# TYPE winnow_bus_received_total counter
winnow_bus_received_total{topic="winnow.tasks.v1"} 11.0
"""


def test_counts_are_told_by_service_and_detail() -> None:
    counts = read_metrics("router", METRICS)
    assert counts["commands"] == {"router insert journal": 5, "router find store_leases": 9}
    assert counts["blocks"] == {"router": 4}
    assert counts["messages"] == Counter()


def test_what_the_clock_causes_is_no_orders() -> None:
    assert read_metrics("router", METRICS).of_orders()["commands"] == {"router insert journal": 5}


def test_documents_are_told_by_collection_whatever_the_operation() -> None:
    assert read_metrics("ingest", METRICS).by_collection() == {"ingest journal": 5, "ingest tasks": 9}


def test_a_difference_holds_what_has_changed_alone() -> None:
    before = read_metrics("router", METRICS)
    after = read_metrics("router", METRICS.replace("blocks_total 4.0", "blocks_total 6.0"))
    assert (after - before) == Counts({**Counts().by_kind, "blocks": Counter({"router": 2})})
