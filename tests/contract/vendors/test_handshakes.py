"""Handshakes of every vendor, through the door: what is asked before or instead of a delivery, and what is answered.

Each vendor's rows stand in its folder; a vendor without a handshake has rows that show that nothing is taken for one.
A signed row is asked again without its signature: the answer must not come out.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingress.arrival import Reply
from schemas.vendors import VENDORS
from schemas.vendors.base import Vendor
from tests.contract.vendors.roster import SENDERS
from tests.contract.vendors.senders import NOW, send
from tests.fakes.edge import Edge
from tests.fakes.registry import snapshot, source

HERE = Path(__file__).parent
ORIGIN, PATH = "https://hooks.example.com", "/in/t0ken"


def rows() -> Iterator[Any]:
    for name in sorted(VENDORS):
        file = HERE / name / "handshakes.json"
        for row in json.loads(file.read_text("utf-8")) if file.is_file() else []:
            yield pytest.param(VENDORS[name], row, id=f"{name}:{row['name']}")


ROWS = list(rows())
SIGNED = [one for one in ROWS if one.values[1]["signed"] and one.values[1]["answer"]]


async def ask(vendor: Vendor, row: dict[str, Any], *, signed: bool) -> tuple[Edge, Reply]:
    """Send a row's request to a source of the vendor, signed by the vendor's first way."""
    sender = next((one for one in SENDERS if one.vendor == vendor.name), None)
    secrets = [text.encode() for text in row.get("secrets", sender.secrets[:1] if sender else ())]
    view = source(vendor.name, auth=None if sender else "url", secrets=secrets)
    edge = Edge(snapshot([view], urls={"t0ken": (view.id, "url-1")}))
    edge.clock.advance(NOW - edge.clock.time_ns() // 1_000_000_000)
    url, body = PATH + (f"?{row['query']}" if row["query"] else ""), row["body"].encode()
    headers = tuple(row["headers"].items())
    if signed and sender is not None and sender.place == "header":
        sent = send(replace(sender, url=ORIGIN + url, extra=(*sender.extra, *headers)), NOW, body=body)
        headers, body = sent.headers, sent.body
    return edge, await edge.post(url, body, headers, method=row["method"])


@pytest.mark.parametrize(("vendor", "row"), ROWS)
async def test_answers_as_the_vendor_wants(vendor: Vendor, row: dict[str, Any]) -> None:
    edge, reply = await ask(vendor, row, signed=row["signed"])
    wanted = row["answer"]
    if wanted is None:
        assert reply.outcome != "handshake"
        return
    assert edge.publisher.records == []
    assert reply.status == wanted["status"]
    if reply.status < 400:
        assert (reply.outcome, reply.body.decode(), reply.content_type) == (
            "handshake",
            wanted["body"],
            wanted["contentType"],
        )
        assert dict(reply.headers) == wanted["headers"]
    else:
        assert reply.outcome == "refused"


@pytest.mark.parametrize(("vendor", "row"), SIGNED)
async def test_a_signed_handshake_answers_nobody_else(vendor: Vendor, row: dict[str, Any]) -> None:
    edge, reply = await ask(vendor, row, signed=False)
    assert (reply.status, reply.outcome) == (vendor.refusal_status, "refused")
    assert edge.publisher.records == []
    for said in (row["answer"]["body"], json.loads(row["body"]).get("challenge", "") if row["body"][0] == "{" else ""):
        assert not said or said.encode() not in reply.body


@pytest.mark.parametrize(("vendor", "row"), [one for one in ROWS if one.values[1]["answer"] is None])
async def test_what_is_no_handshake_is_a_delivery(vendor: Vendor, row: dict[str, Any]) -> None:
    edge, reply = await ask(vendor, row, signed=True)
    provable = next((one.place == "header" for one in SENDERS if one.vendor == vendor.name), True)
    assert len(edge.publisher.records) == int(provable)
    assert reply.status == (vendor.success.status if provable else vendor.refusal_status)


async def test_a_verify_token_is_never_a_key() -> None:
    """Who reads the token in a URL or a log must not be able to sign with it."""
    sender = next(one for one in SENDERS if one.vendor == "meta")
    for text in ("right", "verify_token:right"):
        view = source("meta", secrets=[b"app-secret", b"verify_token:right"])
        edge = Edge(snapshot([view], urls={"t0ken": (view.id, "url-1")}))
        sent = send(replace(sender, secrets=(text, "")), NOW)
        assert (await edge.post(PATH, sent.body, sent.headers)).status == 401
        assert edge.publisher.records == []


@pytest.mark.parametrize("name", ["meta", "msgraph", "cloudevents", "intercom"])
async def test_a_handshake_of_nobodys_source_is_405(name: str) -> None:
    """Unsigned questions learn nothing of what exists."""
    edge = Edge(snapshot([source(name)]))
    for row in (one.values[1] for one in ROWS if one.values[0].name == name and one.values[1]["method"] != "POST"):
        reply = await edge.post(f"/in/unknown?{row['query']}", b"", row["headers"], method=row["method"])
        assert (reply.status, dict(reply.headers)) == (405, {"Allow": "POST"})
