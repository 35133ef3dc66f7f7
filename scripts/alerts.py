"""Documents written from the alert rules: the runbook's table, and the rules as an object of Kubernetes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parent.parent
RULES: Final = ROOT / "deploy/observability/alerts.yaml"
RUNBOOK: Final = ROOT / "docs/runbook.md"
_TABLE: Final = re.compile(r"(<!-- alerts -->\n).*?(<!-- end of alerts -->)", re.DOTALL)
_HEAD: Final = """\
# Generated from deploy/observability/alerts.yaml by `make docs`, for clusters with the Prometheus operator.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: winnow
  labels: {app.kubernetes.io/part-of: winnow}
spec:
"""


def alert_rules() -> list[dict[str, Any]]:
    """Return every alert rule in the order of its file."""
    groups: list[dict[str, Any]] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def headings_of(page: str) -> dict[str, str]:
    """Return the headings of a Markdown page by their anchor."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-"): heading for heading in headings
    }


def runbook() -> str:
    """Return the runbook with the table of its alerts; raises KeyError for an alert without a section."""
    page = RUNBOOK.read_text(encoding="utf-8")
    headings = headings_of(page)
    rows = ["| alert | condition | for | section |", "|---|---|---|---|"]
    for rule in alert_rules():
        anchor = rule["annotations"]["runbook"]
        meaning = f"`{rule['alert']}`: {rule['annotations']['summary']}"
        rows.append(
            f"| {meaning} | `{rule['expr']}` | {rule.get('for', '')} | [{headings[anchor]}](#{anchor}) |"
        )
    return _TABLE.sub(lambda found: found[1] + "\n".join(rows) + "\n" + found[2], page)


def prometheus_rule() -> str:
    """Return the alert rules as an object of the Prometheus operator."""
    text = RULES.read_text(encoding="utf-8")
    rules = text[text.index("groups:") :]
    return _HEAD + "".join(f"  {line}" if line.strip() else line for line in rules.splitlines(keepends=True))
