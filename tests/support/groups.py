"""Groups of tests that one process runs in turn, and the order in which groups begin.

A running line, a cluster and a file's servers are dear, so each belongs to one process.
"""

from __future__ import annotations

import re

from xdist.scheduler import LoadScopeScheduling

from tests.support.servers import buses

_BUS = re.compile(rf"[\[-]({buses.TANSU}|{buses.KAFKA}|{buses.GIVEN})[\]-]")
_OWN_LINE = "tests/e2e/test_newcomer.py"
_SMALL_LINE = (
    "tests/e2e/test_audit_sources.py",
    "tests/e2e/test_audit_promises.py",
    "tests/e2e/test_rebuild.py",
)
_LONGEST = (
    "line on tansu",
    "tests/chaos/test_killed_processes.py",
    "small line",
    "line on kafka",
    "tests/chaos/test_chaos.py on tansu",
    "three nodes",
    "tests/simulation",
    "integration on kafka",
)


def group_of(nodeid: str) -> str:
    """Return the group of a test: its line, its cluster, or its file with its bus."""
    path = nodeid.partition("::")[0]
    found = _BUS.search(nodeid)
    bus = found[1] if found else ""
    if path in _SMALL_LINE:
        return "small line"
    if path.startswith("tests/e2e/") and path != _OWN_LINE:
        return f"line on {bus or buses.TANSU}"
    if path.startswith("tests/integration/kafka/"):
        return "three nodes"
    if path.startswith("tests/integration/") and bus == buses.KAFKA:
        return "integration on kafka"
    if path.startswith("tests/simulation/") and "test_mutations" not in path:
        return "tests/simulation"
    return f"{path} on {bus}" if bus else path


def place_of(nodeid: str) -> int:
    """Return the place of a test's group: the longest begin first, so that none is left alone at the end."""
    group = group_of(nodeid)
    return _LONGEST.index(group) if group in _LONGEST else len(_LONGEST)


class GroupScheduling(LoadScopeScheduling):
    """Scheduling of each group to one process; pytest-xdist's own groups need a node id that can be changed."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
