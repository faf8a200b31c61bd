"""Panels -> Grafana's JSON: places, ids, variables.

Lives here: the shape of the document. Not here: what is shown (panels.py).
https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from collections.abc import Iterator, Sequence
from typing import Any

from deploy.grafana.panels import Panel, Row

UID = "hookberg"
SCHEMA_VERSION = 39
COLUMNS = 24
WIDTH, HEIGHT = 8, 8
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def document(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the dashboard."""
    return {
        "uid": UID,
        "title": "Hookberg",
        "description": "Webhooks into Iceberg tables: from the edge to the commit. Made by deploy/grafana/generate.py.",
        "tags": ["hookberg"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "links": [],
        "panels": list(_placed(rows)),
    }


def _variables() -> list[dict[str, Any]]:
    return [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "hide": 0},
        _values("job", "label_values(hookberg_info, job)"),
        _values("instance", 'label_values(hookberg_info{job=~"$job"}, instance)'),
    ]


def _values(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
        "sort": 1,
        "hide": 0,
    }


def _placed(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for row in rows:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1},
        }
        top += 1
        a_line = COLUMNS // WIDTH
        for place, panel in enumerate(row.panels):
            number += 1
            left, down = place % a_line * WIDTH, place // a_line * HEIGHT
            yield _panel(number, panel, {"x": left, "y": top + down, "w": WIDTH, "h": HEIGHT})
        top += -(-len(row.panels) // a_line) * HEIGHT


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.text,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "custom": {"drawStyle": "line", "fillOpacity": 10, "showPoints": "never", "spanNulls": False},
            },
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": query.expr,
                "legendFormat": query.legend,
                "range": True,
            }
            for index, query in enumerate(panel.queries)
        ],
    }
