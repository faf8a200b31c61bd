"""The dashboard and the alert rules are those of the closed list, and Grafana and Prometheus can read them."""

import json
import shutil
import subprocess
from itertools import combinations
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # it has no types of its own

from deploy.grafana import generate
from deploy.grafana.check import faults, problems
from deploy.grafana.dashboard import COLUMNS, document
from deploy.grafana.panels import ROWS, Panel, Query, Row, shown
from deploy.grafana.rules import RULES
from schemas import metrics
from schemas.definitions.alert import AlertKind
from schemas.metrics import Metric

MADE = json.loads(generate.dashboard_text())
PANELS = [panel for panel in MADE["panels"] if panel["type"] != "row"]


def test_panels_and_rules_name_what_is_declared_and_leave_nothing_out() -> None:
    assert problems(ROWS, RULES) == []


@pytest.mark.parametrize(
    ("path", "made"), [(generate.DASHBOARD, generate.dashboard_text()), (generate.ALERTS, generate.rules_text())]
)
def test_the_committed_file_is_what_is_made_now(path: Path, made: str) -> None:
    assert path.read_text("utf-8") == made, f"{path.name} is stale: run `python -m deploy.grafana.generate`"


def test_every_metric_is_measured_somewhere() -> None:
    """A declared name that no room uses would be a panel that stays empty."""
    own = {Path(metrics.__file__), *Path(generate.__file__).parent.glob("*.py")}
    rooms = [Path(generate.__file__).parents[2] / room for room in ("schemas", "ingress", "streams", "sinks", "deploy")]
    text = "".join(path.read_text("utf-8") for room in rooms for path in room.rglob("*.py") if path not in own)
    kernel = {name for name in metrics.BY_NAME if name.startswith("process_")}
    assert sorted(name for name in metrics.BY_NAME.keys() - kernel if f'"{name}"' not in text) == [
        "hookberg_folded_values"
    ]


def test_an_unseen_metric_says_where_to_add_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(metrics.BY_NAME, "hookberg_new_total", Metric("hookberg_new_total", "counter", "New"))
    (said,) = problems(ROWS, RULES)
    assert "hookberg_new_total" in said
    assert "deploy/grafana/panels.py" in said


def test_a_cause_without_a_rule_is_told() -> None:
    (said,) = problems(ROWS, [rule for rule in RULES if rule.kind is not AlertKind.SILENCE])
    assert "silence" in said


@pytest.mark.parametrize(
    ("expr", "legend", "said"),
    [
        ("sum(rate(hookberg_nothing_total[5m]))", "", "hookberg_nothing_total is not declared"),
        ("sum by (colour) (hookberg_rows_total)", "", "label colour"),
        ('hookberg_rows_total{colour="red"}', "", "label colour"),
        ("hookberg_rows_total", "{{colour}}", "label colour"),
        ("rate(hookberg_commit_seconds[5m])", "", "is a histogram"),
        ("rate(hookberg_rows_total_bucket[5m])", "", "not declared"),
        ("frobnicate(hookberg_rows_total)", "", "frobnicate is not declared"),
        ("sum(rate(hookberg_rows_total[5m])", "", "brackets"),
    ],
)
def test_a_wrong_query_is_told(expr: str, legend: str, said: str) -> None:
    assert any(said in fault for fault in faults(expr, legend))


def test_a_right_query_is_not() -> None:
    expr = (
        "topk(5, histogram_quantile(0.95, sum by (stream, le) (rate(hookberg_freshness_seconds_bucket"
        '{job=~"a(b"}[5m])))) * on (stream) group_left (name) hookberg_stream_info > 1e3'
    )
    assert list(faults(expr, "{{name}} {{stream}}")) == []


def test_a_wrong_panel_is_named() -> None:
    rows = (*ROWS, Row("More", (Panel("Odd", "s", (Query("hookberg_odd", ""),)),)))
    (said,) = problems(rows, RULES)
    assert "More / Odd" in said


def test_a_panel_of_an_undeclared_metric_cannot_be_made() -> None:
    with pytest.raises(KeyError, match="hookberg_nothing"):
        shown("Nothing", "s", "hookberg_nothing")


def test_the_dashboard_can_be_imported() -> None:
    assert (MADE["uid"], MADE["schemaVersion"]) == ("hookberg", 39)
    variables = {each["name"]: each["type"] for each in MADE["templating"]["list"]}
    assert variables == {"datasource": "datasource", "job": "query", "instance": "query"}
    ids = [panel["id"] for panel in MADE["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in PANELS:
        assert panel["targets"], panel["title"]
        assert {each["datasource"]["uid"] for each in (panel, *panel["targets"])} == {"${datasource}"}
        assert len({each["refId"] for each in panel["targets"]}) == len(panel["targets"])


def test_panels_lie_side_by_side() -> None:
    def cells(panel: dict[str, dict[str, int]]) -> set[tuple[int, int]]:
        at = panel["gridPos"]
        assert 0 <= at["x"] <= at["x"] + at["w"] <= COLUMNS
        return {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}

    taken = {panel["id"]: cells(panel) for panel in document(ROWS)["panels"]}
    assert [pair for pair in combinations(taken, 2) if taken[pair[0]] & taken[pair[1]]] == []


def test_rules_are_yaml_with_unique_names_and_something_to_do() -> None:
    (group,) = yaml.safe_load(generate.rules_text())["groups"]
    assert [rule["alert"] for rule in group["rules"]] == [rule.name for rule in RULES]
    assert len({rule.name for rule in RULES}) == len(RULES)
    for rule in group["rules"]:
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]
        assert rule["labels"]["severity"] in {"page", "ticket"}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: names and labels are checked")
def test_prometheus_takes_the_rules(tmp_path: Path) -> None:
    asked = [query.expr for row in ROWS for panel in row.panels for query in panel.queries]
    groups = [{"name": "panels", "rules": [{"record": f"p:{n}", "expr": expr} for n, expr in enumerate(asked)]}]
    panels = tmp_path / "panels.yaml"
    panels.write_text(yaml.safe_dump({"groups": groups}).replace("$__rate_interval", "5m"), "utf-8")
    for path in (generate.ALERTS, panels):
        done = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
