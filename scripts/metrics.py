"""The metrics that the services declare, as Prometheus sees them: the page, the tests and the alert rules use them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Final

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from winnow.local.line import SERVICES

_SUFFIXES: Final = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
_HEAD: Final = """# Metrics

Generated from the declarations. Every service serves its metrics on `/metrics` of its operations port. A histogram has the series
`_bucket`, with the label `le`, `_count` and `_sum`.

| metric | type | labels | meaning |
|---|---|---|---|"""


@dataclass(frozen=True, slots=True, order=True)
class DeclaredMetric:
    """A metric by the name that a reader looks for: a counter's ends with ``_total``."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str

    @property
    def series(self) -> tuple[str, ...]:
        """Return the names that a query can use."""
        return (
            tuple(self.name + suffix for suffix in _SUFFIXES["histogram"])
            if self.is_histogram
            else (self.name,)
        )

    @property
    def is_histogram(self) -> bool:
        """Return whether the metric has buckets."""
        return self.kind == "histogram"


def declared_metrics() -> list[DeclaredMetric]:
    """Return every metric that a service declares, sorted by name."""
    for service in SERVICES:
        importlib.import_module(f"services.{service}.main")
    found = set()
    for collector in tuple(REGISTRY._collector_to_names):  # noqa: SLF001 (the registry lists no declarations)
        if not isinstance(collector, MetricWrapperBase):
            continue
        for family in collector.describe():
            if family.name.startswith("winnow_"):
                name = family.name + ("_total" if family.type == "counter" else "")
                labels = tuple(collector._labelnames)  # noqa: SLF001 (as above)
                found.add(DeclaredMetric(name, family.type, labels, family.documentation))
    return sorted(found)


def metrics_page() -> str:
    """Return the page with every metric, its labels and its meaning."""
    rows = (
        f"| `{metric.name}` | {metric.kind} | {', '.join(f'`{label}`' for label in metric.labels)} | {metric.meaning} |"
        for metric in declared_metrics()
    )
    return "\n".join([_HEAD, *rows, ""])
