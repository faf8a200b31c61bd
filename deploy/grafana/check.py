"""What is wrong with panels and rules, said so that it can be mended: no name that is not declared, no metric unseen.

Lives here: a light reader of PromQL, enough for names and labels. Whether an expression makes sense to Prometheus is
promtool's to say (`promtool check rules`).
https://prometheus.io/docs/prometheus/latest/querying/basics/
"""

import re
from collections.abc import Iterator, Sequence

from deploy.grafana.panels import Row
from deploy.grafana.rules import Rule
from schemas.definitions.alert import AlertKind
from schemas.metrics import BY_NAME, Metric

TARGET = frozenset({"job", "instance"})
"""Labels that Prometheus itself puts on what it scrapes."""
FOREIGN = {"up": Metric("up", "gauge", "Prometheus' own: 1 while a target answers")}
FUNCTIONS = frozenset(
    {"sum", "max", "min", "avg", "count", "topk", "rate", "increase", "changes", "time", "histogram_quantile"}
)
_GROUPING = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_WORDS = frozenset({"and", "or", "unless", "bool", "offset"})
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_RANGE = re.compile(r"\[[^\]]*\]")
_BRACES = re.compile(r"\{([^}]*)\}")
_GROUPED = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_LEGEND = re.compile(r"\{\{\s*(?:\$labels\.)?([A-Za-z_]\w*)\s*\}\}")
_NUMBERED = re.compile(r"[0-9][0-9a-z.]*")


def problems(rows: Sequence[Row], rules: Sequence[Rule]) -> list[str]:
    """Return what is wrong, a sentence each; none = the files can be made."""
    found = list(_of_panels(rows))
    found += list(_of_rules(rules))
    seen = {name for row in rows for panel in row.panels for query in panel.queries for name in named(query.expr)}
    found += [
        f"{name} is declared in schemas/metrics.py and shown in no panel: add a line such as "
        f'shown("{name}", "short", "{name}") to a row in deploy/grafana/panels.py, then run '
        "`python -m deploy.grafana.generate`"
        for name in BY_NAME
        if name not in seen
    ]
    missing = set(AlertKind) - {rule.kind for rule in rules}
    found += [f"no rule covers the alert kind {kind.value}: add a Rule in deploy/grafana/rules.py" for kind in missing]
    return found


def named(expr: str) -> set[str]:
    """Return the declared metrics that an expression names."""
    return {metric.name for name in _metric_names(expr) if (metric := _metric(name)) is not None}


def faults(expr: str, legend: str = "") -> Iterator[str]:
    """Yield what is wrong with one expression and its legend."""
    metrics = []
    for name in _metric_names(expr):
        metric = _metric(name)
        if metric is None:
            yield f"{name} is not declared in schemas/metrics.py"
        elif metric.kind == "histogram" and name == metric.name:
            yield f"{name} is a histogram: ask for {name}_bucket, _sum or _count"
        else:
            metrics.append(metric)
    labels = TARGET | {label for metric in metrics for label in metric.labels}
    if any(metric.kind == "histogram" for metric in metrics):
        labels |= {"le"}
    for label in _labels(expr) | set(_LEGEND.findall(legend)):
        if label not in labels:
            yield f"no metric in it has the label {label}: {', '.join(sorted(labels))} are there"
    bare = _STRING.sub('""', expr)
    if any(bare.count(a) != bare.count(b) for a, b in ("()", "{}", "[]")):
        yield "its brackets do not close"


def _of_panels(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        for panel in row.panels:
            for query in panel.queries:
                for fault in faults(query.expr, query.legend):
                    yield f"deploy/grafana/panels.py, {row.title} / {panel.title}: {fault}: {query.expr}"


def _of_rules(rules: Sequence[Rule]) -> Iterator[str]:
    for rule in rules:
        for fault in faults(rule.expr, " ".join(re.findall(r"\{\{[^}]*\}\}", rule.summary))):
            yield f"deploy/grafana/rules.py, {rule.name}: {fault}: {rule.expr}"


def _metric(name: str) -> Metric | None:
    metric = BY_NAME.get(name) or FOREIGN.get(name)
    if metric is None and name.endswith(("_bucket", "_sum", "_count")):
        base = BY_NAME.get(name.rpartition("_")[0])
        metric = base if base is not None and base.kind == "histogram" else None
    return metric


def _metric_names(expr: str) -> list[str]:
    """Return the names that stand where a metric stands: not in braces, not grouped by, not called."""
    bare = _GROUPED.sub(" ", _BRACES.sub(" ", _RANGE.sub(" ", _STRING.sub(" ", expr))))
    found = []
    for match in _NAME.finditer(_NUMBERED.sub(lambda one: " " * len(one[0]) if _alone(bare, one) else one[0], bare)):
        name = match[0]
        called = bare[match.end() :].lstrip().startswith("(")
        if not (called and name in FUNCTIONS) and name not in _GROUPING | _WORDS:
            found.append(name)
    return found


def _alone(text: str, match: re.Match[str]) -> bool:
    before = text[match.start() - 1] if match.start() else " "
    return not (before.isalnum() or before in "_:")


def _labels(expr: str) -> set[str]:
    inside = " ".join(_BRACES.findall(_STRING.sub('""', expr)))
    matched = set(re.findall(r"([A-Za-z_]\w*)\s*(?:=~|!~|!=|=)", inside))
    grouped = {name for _, names in _GROUPED.findall(expr) for name in _NAME.findall(names)}
    return matched | grouped
