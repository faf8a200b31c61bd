"""One delivery of each shape of body through the real door: its items are rows, payload by payload, or quarantined."""

import gzip
import hashlib
import json
import zlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

import pytest

from tests.system import lake, payload, rebuild
from tests.system.client import Caller, Server, eventually

pytestmark = pytest.mark.system

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
ONE, TWO = '{"shape":"array","n":1}', '{"shape":"array","n":2}'
BIG = '{"shape":"json","big":18446744073709551617,"price":1.50}'
FILE = b"\x89PNG\r\n\x00"
PARTS = (
    b'--b1\r\nContent-Disposition: form-data; name="shape"\r\n\r\nmultipart\r\n'
    b'--b1\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    + FILE
    + b"\r\n--b1--\r\n"
)
IMAGE = {"filename": "a.png", "contentType": "image/png", "size": 7, "sha256": hashlib.sha256(FILE).hexdigest()}
CE = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/shop", "ce-type": "order.new"}
STRUCTURED = '{"specversion":"1.0","id":"2","source":"/shop","type":"order.new","data":{"n":1}}'
BATCHED = STRUCTURED.replace("2", "3")


@dataclass(frozen=True)
class Sent:
    """A delivery, and the payloads of its items: JSON texts, None = quarantined with `reason`."""

    type: str
    body: bytes
    payloads: tuple[str | None, ...]
    headers: dict[str, str] = field(default_factory=dict)
    reason: str | None = None
    envelope: dict[str, Any] | None = None
    api: bool = False
    """By the control plane's door instead of the fast one."""


SENT = {
    "json": Sent(JSON, BIG.encode(), (BIG,)),
    "array": Sent(JSON, f"[{ONE}, {TWO}]".encode(), (ONE, TWO)),
    "latin-1": Sent(JSON + "; charset=iso-8859-1", '{"shape":"é"}'.encode("latin-1"), ('{"shape":"é"}',)),
    "ndjson": Sent("application/x-ndjson", b'{"shape":"line"}\n{\n', ('{"shape":"line"}', None),
                   reason="not_parseable"),
    "form": Sent(FORM, b"shape=form&n=1&n=2", ('{"shape":"form","n":["1","2"]}',)),
    "payload": Sent(FORM, b"payload=" + quote_plus(BIG).encode(), (BIG,)),
    "multipart": Sent('multipart/form-data; boundary="b1"', PARTS,
                      (json.dumps({"shape": "multipart", "image": IMAGE}),)),
    "binary": Sent(JSON, b'{"shape":"binary"}', ('{"shape":"binary"}',), CE,
                   envelope={name[3:]: value for name, value in CE.items()} | {"datacontenttype": JSON}),
    "structured": Sent("application/cloudevents+json", STRUCTURED.encode(), (STRUCTURED,)),
    "batched": Sent("application/cloudevents-batch+json", f"[{BATCHED}]".encode(), (BATCHED,)),
    "gzip": Sent(JSON, gzip.compress(b'{"shape":"gzip"}'), ('{"shape":"gzip"}',), {"content-encoding": "gzip"}),
    "gzip, API": Sent(JSON, gzip.compress(b'{"shape":"api"}'), ('{"shape":"api"}',), {"content-encoding": "gzip"},
                      api=True),
    "deflate": Sent(FORM, zlib.compress(b"shape=deflate"), ('{"shape":"deflate"}',), {"content-encoding": "deflate"}),
    "bomb": Sent(JSON, gzip.compress(bytes(30_000_000)), (None,), {"content-encoding": "gzip"}, "too_large"),
    "xml": Sent("text/xml", b"<shape/>", (None,), reason="unsupported_content_type"),
}  # fmt: skip


@pytest.fixture(scope="module")
def landed(server: Server) -> tuple[Caller, dict[str, str]]:
    """Post everything to a generic source and wait for every item; return the delivery ids by name."""
    caller = server.new_tenant("shapes")
    caller.call("POST", "/api/v1/sources", {"platform": "shapes", "auth": {"type": "none"}}, expect=201)
    caller.new_stream("shapes", "shapes", "shapes")
    ids = {}
    for name, sent in SENT.items():
        door = server.api if sent.api else server.ingest
        reply = caller.post_event("shapes", sent.body, {"Content-Type": sent.type, **sent.headers}, door=door)
        assert reply.status == 200, (name, reply)
        ids[name] = reply.json()["deliveryId"]
    clean = sum(1 for sent in SENT.values() for text in sent.payloads if text is not None)
    kept = sum(len(sent.payloads) for sent in SENT.values()) - clean

    def all_there() -> bool:
        found = (lake.rows(server.data_dir, caller.tenant or "", table) for table in ("shapes", "hookberg_quarantine"))
        return [len(rows) for rows in found] == [clean, kept]

    eventually(f"{clean} rows and {kept} in quarantine", all_there)
    return caller, ids


def test_every_item_is_a_row_with_the_payload_that_was_sent(landed: tuple[Caller, dict[str, str]]) -> None:
    caller, ids = landed
    table = lake.table(caller.server.data_dir, caller.tenant or "", "shapes")
    assert table is not None
    rebuilder = rebuild.Rebuilder(table.schema())
    rows = {
        (row["delivery_id"], row["_item"]): row
        for row in lake.rows(caller.server.data_dir, caller.tenant or "", "shapes")
    }
    for name, sent in SENT.items():
        for number, text in enumerate(sent.payloads):
            if text is None:
                assert (ids[name], number) not in rows
                continue
            row = rows.pop((ids[name], number))
            assert payload.difference(payload.without_nulls(payload.parse(text)), rebuilder.payload(row)) is None, name
            assert (None if row["envelope"] is None else json.loads(row["envelope"])) == sent.envelope, name
    assert rows == {}


def test_cloudevents_are_identified_by_their_own_attributes(landed: tuple[Caller, dict[str, str]]) -> None:
    caller, ids = landed
    found = {row["delivery_id"]: (row["vendor_event_id"], row["event_type"], row["source_identifier"])
             for row in lake.rows(caller.server.data_dir, caller.tenant or "", "shapes")}  # fmt: skip
    for name, number in (("binary", 1), ("structured", 2), ("batched", 3)):
        assert found[ids[name]] == (f"/shop {number}", "order.new", "/shop")


def test_what_cannot_be_read_is_in_quarantine_with_its_reason(landed: tuple[Caller, dict[str, str]]) -> None:
    caller, ids = landed
    found = lake.rows(caller.server.data_dir, caller.tenant or "", "hookberg_quarantine")
    reasons = {(row["delivery_id"], row["reason"]) for row in found}
    assert reasons == {(ids[name], sent.reason) for name, sent in SENT.items() if sent.reason is not None}


def test_what_no_header_says_is_a_row_once_the_source_says_it_and_it_is_redriven(server: Server) -> None:
    """Amazon SNS, for one, posts JSON as text/plain."""
    caller = server.new_tenant("notices")
    caller.call("POST", "/api/v1/sources", {"platform": "notices", "auth": {"type": "none"}}, expect=201)
    caller.new_stream("notices", "notices", "notices")
    plain = {"Content-Type": "text/plain; charset=UTF-8"}
    before = caller.post_event("notices", b'[{"n":1},{"n":2}]', plain).json()["deliveryId"]
    listed = "/api/v1/quarantine?limit=10"
    eventually("it is in quarantine", lambda: len(caller.call("GET", listed)["items"]) == 1)

    merge = {"Content-Type": "application/merge-patch+json"}
    said = caller.send("PATCH", "/api/v1/sources/notices", {"parse": {"contentType": JSON}}, merge)
    assert said.status == 200, said
    where = caller.server.data_dir, caller.tenant or "", "notices"
    after = []

    def told() -> bool:
        after.append(caller.post_event("notices", b'{"n":3}', plain).json()["deliveryId"])
        return bool(lake.rows(*where))

    eventually("the stage knows what the source says", told)
    for _again in range(2):
        assert caller.send("POST", "/api/v1/quarantine/redrive", {}).status in {200, 202}
    eventually("nothing is open in quarantine", lambda: caller.call("GET", listed)["items"] == [])
    eventually("both items are rows", lambda: {(before, 0), (before, 1)} <= _places(*where))
    redriven = [row for row in lake.rows(*where) if row["delivery_id"] == before]
    assert sorted(row["payload"]["n"] for row in redriven) == [1, 2]


def _places(*where: Any) -> set[tuple[str, int]]:
    return {(row["delivery_id"], row["_item"]) for row in lake.rows(*where, "delivery_id", "_item")}
