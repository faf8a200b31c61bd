"""Write dashboard.json and rules.yaml: `python -m deploy.grafana.generate`.

Lives here: the files and their text. A test fails when they are stale (tests/unit/deploy/test_grafana.py).
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from deploy.grafana.check import problems
from deploy.grafana.dashboard import document
from deploy.grafana.panels import ROWS
from deploy.grafana.rules import RULES, Rule

FOLDER = Path(__file__).parent
DASHBOARD, ALERTS = FOLDER / "dashboard.json", FOLDER / "rules.yaml"


def dashboard_text() -> str:
    """Return the text of dashboard.json."""
    return json.dumps(document(ROWS), indent=1, ensure_ascii=False) + "\n"


def rules_text() -> str:
    """Return the text of rules.yaml."""
    return "\n".join(_rules(RULES)) + "\n"


def _rules(rules: Sequence[Rule]) -> Iterator[str]:
    """Yield the lines; texts are JSON strings, which YAML takes for its own."""
    yield "# Alert rules for Prometheus. Made by deploy/grafana/generate.py: edit deploy/grafana/rules.py instead."
    yield "groups:"
    yield "  - name: hookberg"
    yield "    rules:"
    for rule in rules:
        yield f"      - alert: {rule.name}"
        yield f"        expr: {json.dumps(rule.expr)}"
        yield f"        for: {rule.held}"
        yield "        labels:"
        yield f"          severity: {rule.severity}"
        if rule.kind is not None:
            yield f"          kind: {rule.kind.value}"
        yield "        annotations:"
        yield f"          summary: {json.dumps(rule.summary)}"
        yield f"          description: {json.dumps(rule.todo)}"


def main() -> int:
    """Write both files, unless something is wrong with what they are made of."""
    if found := problems(ROWS, RULES):
        sys.stderr.write("\n".join(found) + "\n")
        return 1
    DASHBOARD.write_text(dashboard_text(), "utf-8")
    ALERTS.write_text(rules_text(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
