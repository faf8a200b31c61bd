"""Deliveries of every vendor, from the door to the events: proved, answered, kept, split, identified.

The samples are our own, made of documented field names; what must come out of each stands beside it in its folder.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingress import redact
from schemas.definitions.view import SourceView
from schemas.vendors import VENDORS, adapter
from schemas.vendors.base import Facts, Vendor
from schemas.wire.raw import RawRecord
from streams.identify import Event, identify
from streams.parse import parse
from streams.shapes.read import How, read
from streams.sources import Sources
from streams.texts import at, pointer_parts
from tests.contract.vendors.roster import SENDERS
from tests.contract.vendors.senders import NOW, Sender, send
from tests.fakes.edge import Edge
from tests.fakes.registry import snapshot, source

HERE = Path(__file__).parent
PATH = "/in/t0ken"
FORM_TYPE = "application/x-www-form-urlencoded"


def deliveries() -> Iterator[Any]:
    for name in sorted(VENDORS):
        file = HERE / name / "deliveries.json"
        for one in json.loads(file.read_text("utf-8")) if file.is_file() else []:
            yield pytest.param(VENDORS[name], one, id=f"{name}:{one['name']}")


ALL = list(deliveries())


def body_of(one: dict[str, Any]) -> bytes:
    return str(one["form"]).encode() if "form" in one else json.dumps(one["body"]).encode()


def items_of(vendor: Vendor, one: dict[str, Any]) -> list[Facts]:
    """Return the facts of each item, as the stage reads them."""
    found = []
    how = How(paths=tuple(pointer_parts(each) for each in vendor.split))
    for item in read(body_of(one), one["headers"], how)[0]:
        facts = vendor.facts(item.value, one["headers"])
        found.append(vendor.within(facts, item.outer) if vendor.within and item.outer is not None else facts)
    return found


def expected(item: dict[str, Any]) -> Facts:
    names = ("eventType", "vendorEventId", "eventTimeMs", "sourceIdentifier", "correlationId")
    return Facts(*(item[name] for name in names))


@pytest.mark.parametrize(("vendor", "one"), ALL)
def test_items_say_what_the_vendor_says(vendor: Vendor, one: dict[str, Any]) -> None:
    assert items_of(vendor, one) == [expected(item) for item in one["items"]]
    assert vendor.event_key(one["headers"], body_of(one)) == one["eventKey"]


@pytest.mark.parametrize(("vendor", "one"), ALL)
def test_the_key_at_the_door_is_the_id_in_the_stage(vendor: Vendor, one: dict[str, Any]) -> None:
    """Rule 4: duplicates must meet in one partition, which the door chooses and the stage counts on."""
    if vendor.partitioning == "event":
        assert {facts.vendor_event_id for facts in items_of(vendor, one)} == {one["eventKey"]}


@pytest.mark.parametrize(("vendor", "one"), ALL)
def test_what_is_hidden_before_it_is_kept_is_not_needed(vendor: Vendor, one: dict[str, Any]) -> None:
    kept = dict(redact.headers(tuple(one["headers"].items())))
    assert items_of(vendor, one | {"headers": kept}) == items_of(vendor, one)


@pytest.mark.parametrize(("vendor", "one"), ALL)
def test_control_events_are_the_vendors_tests_and_pings(vendor: Vendor, one: dict[str, Any]) -> None:
    for item in one["items"]:
        assert (item["eventType"] in vendor.control) is item.get("control", False)


def sender_of(vendor: Vendor, one: dict[str, Any]) -> Sender | None:
    """Return the way of the vendor that fits the sample's headers and shape."""
    batch = isinstance(one.get("body"), list) and len(one["body"]) > 1
    for sender in SENDERS:
        wanted = {name.lower() for name, _ in sender.extra} - {"content-type"}
        fits = sender.vendor == vendor.name and wanted <= set(one["headers"])
        if fits and (vendor.name != "segment" or sender.batch is batch) and _of_its_type(vendor, sender, one):
            return sender
    return None


def _of_its_type(vendor: Vendor, sender: Sender, one: dict[str, Any]) -> bool:
    """Twilio signs a form and a JSON body in two ways."""
    return vendor.name != "twilio" or (("Content-Type", FORM_TYPE) in sender.extra) is ("form" in one)


def registered(vendor: Vendor, sender: Sender | None) -> SourceView:
    if sender is None:
        return source(vendor.name, auth="url", secrets=())
    return source(vendor.name, secrets=[sender.secrets[0].encode()])


@pytest.mark.parametrize(("vendor", "one"), ALL)
async def test_a_signed_delivery_is_kept_and_answered_as_the_vendor_wants(vendor: Vendor, one: dict[str, Any]) -> None:
    sender = sender_of(vendor, one)
    edge = await _posted(vendor, one, sender)
    if sender is not None and sender.place == "items" and not one["items"]:
        assert edge.publisher.records == []  # an empty batch proves nothing
        return
    [kept] = edge.publisher.records
    assert kept.meta.event_id == (one["eventKey"] if vendor.partitioning == "event" else None)
    assert (kept.meta.auth.scheme, kept.meta.auth.coverage) == (
        ("url", "none") if sender is None else (sender.scheme, sender.coverage)
    )


@pytest.mark.parametrize(("vendor", "one"), ALL)
async def test_the_stage_finds_the_events_in_what_was_kept(vendor: Vendor, one: dict[str, Any]) -> None:
    sender = sender_of(vendor, one)
    edge = await _posted(vendor, one, sender)
    if not one["items"]:
        return
    events = _events(edge)
    coverage = "none" if sender is None else sender.coverage
    assert [event.fault for event in events] == [None] * len(one["items"])
    for event, item in zip(events, one["items"], strict=True):
        assert event.event_type == (item["eventType"] or "received")
        assert event.control is item.get("control", False)
        assert event.event_time_source == ("received" if item["eventTimeMs"] is None else "payload")
        own = event.item.coverage or event.delivery.meta.auth.coverage  # type: ignore[union-attr]
        assert own == item.get("coverage", coverage)
        around = event.item.envelope
        assert (None if around is None else json.loads(around)) == item.get("envelope")
        if item["vendorEventId"] is not None:
            assert event.vendor_event_id is not None
            assert event.vendor_event_id.startswith(item["vendorEventId"])
    assert len({event.event_id for event in events}) == len(events)


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=lambda vendor: vendor.name)
def test_what_is_volatile_or_split_is_there_in_a_sample(vendor: Vendor) -> None:
    """A pointer that leads nowhere in every sample is a mistyped one."""
    samples = [one.values[1] for one in ALL if one.values[0] is vendor]
    bodies = [one["body"] for one in samples if "body" in one]
    for path in vendor.split:
        first = pointer_parts(path)[0]
        assert any(isinstance(body, dict) and first in body for body in bodies), path
    if vendor.volatile:
        paths = tuple(pointer_parts(each) for each in vendor.split)
        values = [item.value for body in bodies for item in read(json.dumps(body).encode(), {}, How(paths=paths))[0]]
        assert any(at(value, pointer_parts(each)) is not None for value in values for each in vendor.volatile)


async def _posted(vendor: Vendor, one: dict[str, Any], sender: Sender | None) -> Edge:
    view = registered(vendor, sender)
    edge = Edge(snapshot([view], urls={"t0ken": (view.id, "url-1")}))
    edge.clock.advance(NOW - edge.clock.time_ns() // 1_000_000_000)
    if sender is None:
        headers, path, body = tuple(one["headers"].items()), PATH, body_of(one)
    else:
        query = sender.url.partition(PATH)[2]
        if "bodySHA256" in query:
            query = f"?bodySHA256={hashlib.sha256(body_of(one)).hexdigest()}"
        own = replace(sender, url=f"https://hooks.example.com{PATH}{query}")
        fixed = tuple((name, value) for name, value in sender.extra if name.lower() not in one["headers"])
        sent = send(replace(own, extra=(*fixed, *one["headers"].items())), NOW, body=body_of(one))
        headers, path, body = sent.headers, sent.url.removeprefix("https://hooks.example.com"), sent.body
    reply = await edge.post(path, body, headers)
    if edge.publisher.records:
        assert (reply.status, reply.outcome) == (vendor.success.status, "accepted")
        assert vendor.success.body is None or reply.body == vendor.success.body
        assert vendor.success.body is None or reply.content_type == vendor.success.content_type
    else:
        assert reply.status == vendor.refusal_status
    return edge


def _events(edge: Edge) -> list[Event]:
    [kept] = edge.publisher.records
    record = RawRecord(0, 0, NOW * 1000, kept.value, tuple(kept.headers))
    sources = Sources().at(edge.now.sources)
    return list(identify(parse([record], sources, 0), adapter, "topic"))
