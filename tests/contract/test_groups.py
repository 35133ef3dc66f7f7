"""One process runs all tests of a line, of a cluster or of a file's servers."""

from __future__ import annotations

import pytest

from tests.support.groups import group_of, place_of


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        ("tests/e2e/test_stories.py::test_a[tansu]", "line on tansu"),
        ("tests/e2e/test_audit.py::test_b[tansu-GET]", "line on tansu"),
        ("tests/e2e/test_api_document.py::test_c[GET /v1/tasks][tansu]", "line on tansu"),
        ("tests/e2e/test_stories.py::test_a[kafka]", "line on kafka"),
        ("tests/e2e/test_rebuild.py::test_d[tansu-ledger]", "small line"),
        ("tests/e2e/test_audit_sources.py::test_d[tansu]", "small line"),
        ("tests/e2e/test_newcomer.py::test_d", "tests/e2e/test_newcomer.py"),
        ("tests/integration/test_bus.py::test_e[tansu]", "tests/integration/test_bus.py on tansu"),
        ("tests/integration/test_bus.py::test_e[kafka]", "integration on kafka"),
        ("tests/integration/kafka/test_rebalances.py::test_f", "three nodes"),
        ("tests/simulation/test_simulation.py::test_g[0]", "tests/simulation"),
        ("tests/simulation/test_mutations.py::test_h[kafka is slow]", "tests/simulation/test_mutations.py"),
    ],
)
def test_a_test_belongs_to_what_it_needs(nodeid: str, group: str) -> None:
    assert group_of(nodeid) == group


def test_the_longest_begin_first() -> None:
    ids = ["tests/quality/test_cases.py::test_a", "tests/e2e/test_stories.py::test_a[tansu]"]
    assert sorted(ids, key=place_of) == ids[::-1]
