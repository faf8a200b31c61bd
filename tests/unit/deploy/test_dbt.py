"""The dbt sources file of a stream: a YAML parser reads back what the API told, whatever a vendor named things."""

from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it has no types of its own

from deploy.cli import dbt, tables

NAMES = [
    "payload.plain",
    'a"b\\c',
    "yes",
    "on: {x}",
    "# no comment",
    "tab\there",
    "\x7f\x85\ufeff",
    "grün 🚀",
    "- a",
    "",
]


def told(table: str, **more: Any) -> dict[str, Any]:
    return {"namespace": "acme", "table": table, "catalog": {"name": "hookberg"}, **more}


def columns(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "doc": f"doc of {name}", "type": "string"} for name in names]


def read(*tables: Any) -> dict[str, Any]:
    made = yaml.safe_load(dbt.sources("orders", tables))
    assert (made["version"], len(made["sources"])) == (2, 1)
    found: dict[str, Any] = made["sources"][0]
    return found


def test_a_table_is_a_source_with_its_columns() -> None:
    source = read((told("orders"), columns("received_at", *NAMES)))
    assert (source["name"], source["database"], source["schema"]) == ("acme", "hookberg", "acme")
    assert (source["loaded_at_field"], source["freshness"]) == (
        "received_at", {"warn_after": {"count": 24, "period": "hour"}},
    )  # fmt: skip
    [table] = source["tables"]
    assert (table["name"], table["description"]) == ("orders", "events")
    wanted = [(name, f"doc of {name}", "string") for name in ("received_at", *NAMES)]
    assert [(one["name"], one["description"], one["data_type"]) for one in table["columns"]] == wanted


@pytest.mark.parametrize(("name", "there"), [("_hb_received_at", True), ("other", False)])
def test_freshness_needs_the_receive_time_under_the_name_that_it_has(name: str, there: bool) -> None:
    source = read((told("orders"), columns(name)))
    assert source.get("loaded_at_field") == (name if there else None)
    assert ("freshness" in source) is there


def test_a_split_stream_has_a_table_for_each_type() -> None:
    own = told("orders", tables=[{"table": "orders_track", "eventType": "track"}])
    source = read((own, columns("received_at")), (told("orders_track", eventType="track", tables=[]), columns("n")))
    assert [(one["name"], one["description"]) for one in source["tables"]] == [
        ("orders", "events of types without a table of their own"), ("orders_track", "events of type track"),
    ]  # fmt: skip
    assert [one["name"] for one in source["tables"][1]["columns"]] == ["n"]


def test_every_table_of_a_split_stream_is_asked_for() -> None:
    asked: list[str] = []

    class Server:
        def call(self, _method: str, path: str) -> dict[str, Any]:
            asked.append(path)
            return {"items": []} if "/columns" in path else told("orders_of")

    server: Any = Server()
    own = told("orders", tables=[{"table": "orders_of", "eventType": "a&b/c d"}])
    assert [one["table"] for one, _columns in tables._all(server, "orders", own)] == ["orders", "orders_of"]
    assert asked == [
        "/streams/orders/columns",
        "/streams/orders/table?eventType=a%26b%2Fc%20d",
        "/streams/orders/columns?eventType=a%26b%2Fc%20d",
    ]
