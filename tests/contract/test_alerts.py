"""The alert rules: queries that parse, metrics and labels that are declared, a section of the runbook for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from scripts.alerts import RULES, alert_rules, headings_of
from scripts.metrics import declared_metrics

ROOT = Path(__file__).resolve().parents[2]
LABELS = {series: set(metric.labels) for metric in declared_metrics() for series in metric.series}
BY_SCRAPE = {"job", "instance"}
"""Labels that Prometheus adds to every series."""


def selectors(expression: Any) -> Iterator[promql_parser.VectorSelector]:
    """Yield each selector of a query, wherever it stands in it."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
    for name in ("lhs", "rhs", "expr", "vector_selector", "vs"):
        if (inner := getattr(expression, name, None)) is not None:
            yield from selectors(inner)
    for argument in getattr(expression, "args", ()):
        yield from selectors(argument)


@pytest.mark.parametrize("rule", alert_rules(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_and_labels_that_are_declared(rule: dict[str, Any]) -> None:
    found = list(selectors(promql_parser.parse(rule["expr"])))
    assert found
    for selector in found:
        if selector.name == "up":
            continue
        assert selector.name in LABELS, rule["expr"]
        assert {matcher.name for matcher in selector.matchers.matchers} <= LABELS[selector.name] | BY_SCRAPE


def test_the_walk_over_a_query_finds_every_selector() -> None:
    query = 'sum by (a) (rate(x{b="c"}[5m])) > 0.5 * (y unless y offset 1h) or deriv(z[30m]) > 0'
    assert [selector.name for selector in selectors(promql_parser.parse(query))] == ["x", "y", "y", "z"]


def test_every_alert_has_a_name_of_its_own_a_summary_and_a_section_of_the_runbook() -> None:
    rules = alert_rules()
    assert len({rule["alert"] for rule in rules}) == len(rules)
    sections = headings_of((ROOT / "docs/runbook.md").read_text())
    for rule in rules:
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook"] in sections, rule["alert"]
        assert rule["labels"]["severity"] in {"page", "ticket"}


def test_compose_and_kubernetes_load_the_rules() -> None:
    prometheus = yaml.safe_load((RULES.parent / "prometheus.yml").read_text())
    assert prometheus["rule_files"] == [RULES.name]
    assert {job["job_name"] for job in prometheus["scrape_configs"]} == {"winnow"}
    mounts = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]["prometheus"]["volumes"]
    assert mounts == [f"./{RULES.parent.name}:/etc/prometheus:ro"]
    component = ROOT / "deploy/k8s/components/alerts"
    (name,) = yaml.safe_load((component / "kustomization.yaml").read_text())["resources"]
    rule = yaml.safe_load((component / name).read_text())
    assert (rule["apiVersion"], rule["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert rule["spec"] == yaml.safe_load(RULES.read_text())
