"""From a stream's definition and its sources' pins to what its tail is told."""

from dataclasses import replace
from typing import Any

import pytest

from schemas.definitions.source import SourceDefinition
from schemas.definitions.stream import StreamDefinition
from schemas.definitions.view import EMPTY, Snapshot, SourceView, StreamView
from sinks.columns.policy import Infer, Mode
from sinks.fleet import layout_of, of_stream, pins, wanted
from sinks.jobs.tenants import drained
from sinks.layout import EventLayout
from sinks.rows.system import Record
from tests.unit.sinks.wrapped import event

PINS = {"order.*": "order@2", "order.paid": "paid@1", "ping": "ping@1", "gone": "gone@1"}


def stream(**more: Any) -> StreamView:
    told = {"name": "orders", "topics": ["acme.webhook.shop"], "targetTable": "orders", **more}
    definition = StreamDefinition.model_validate(told)
    return StreamView("s1", "acme", "orders", 1, definition, "running", 1, accept_loss=False, frozen=False)


def registry(*streams: StreamView) -> Snapshot:
    told = {"platform": "shop", "auth": {"type": "none"}, "pins": PINS}
    definition = SourceDefinition.model_validate(told)
    source = SourceView("src", "acme", "shop", "shop", 1, definition, "event", 1, "acme.webhook.shop", open=True)
    return replace(
        EMPTY,
        revision=1,
        tenants=frozenset({"acme"}),
        sources={"src": source},
        by_platform={("acme", "shop"): (source,)},
        streams={one.id: one for one in streams},
        schemas={("acme", name): name.encode() for name in ("order@2", "paid@1", "ping@1", "other@1")},
    )


@pytest.mark.parametrize(
    ("types", "found"),
    [
        ((), ["order@2", "paid@1", "ping@1"]),
        (("order.paid",), ["order@2", "paid@1"]),
        (("order.sent",), ["order@2"]),
        (("pi*",), ["order@2", "ping@1"]),
        (("push",), []),
    ],
)
def test_a_stream_is_typed_by_the_pins_that_its_event_types_may_meet(types: tuple[str, ...], found: list[str]) -> None:
    one = stream(eventTypes=list(types))
    assert [name for name, _text in pins(registry(one), one)] == found


def test_a_pin_that_moves_makes_another_spec_and_nothing_else_does() -> None:
    before = registry(stream())
    assert list(wanted(before)) == list(wanted(replace(before, revision=2)))
    moved = replace(before, schemas={**before.schemas, ("acme", "order@2"): b"{}"})
    assert list(wanted(moved)) != list(wanted(before))
    assert b"paid" not in repr(list(wanted(before))).encode()


def test_a_stream_of_a_production_source_infers_nothing() -> None:
    one = replace(stream(contract={"columns": "discardValue"}), frozen=True)
    typing, layout, _key = of_stream(one).layout
    assert (typing.contract().columns, typing.contract().data_types) == (Mode.DISCARD_VALUE, Mode.FREEZE)
    assert (typing.contract().infer, layout) == (Infer.NEVER, "nested")


def test_a_spec_selects_the_events_that_its_definition_names() -> None:
    some, every = of_stream(stream(eventTypes=["order.*"])), of_stream(stream())
    sent = [sent_as(kind) for kind in ("order.paid", "ping")]
    world: Any = None
    for spec, wanted_types in ((some, ["order.paid"]), (every, ["order.paid", "ping"])):
        [(_spec, selects)] = drained.tables_of(world, spec)
        assert [kind for kind in ("order.paid", "ping") if selects(kind)] == wanted_types
    made = layout_of(some)
    assert isinstance(made, EventLayout)
    assert made._selected(sent) == sent[:1]


def sent_as(kind: str) -> Record:
    return Record("T", 0, 0, event(b"{}", kind=kind))
