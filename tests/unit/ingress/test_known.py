"""What is worked out once: headers by their row of names, targets by what a request says; both bounded, both exact."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingress import headers, known, redact, resolve, routes
from ingress.arrival import Arrival
from ingress.known import Known
from ingress.redact import NO_CARRIERS, Carriers
from ingress.target import Target
from schemas.errors import Refused
from schemas.wire import raw
from schemas.wire.raw import AuthResult, Overrides, RawMeta
from tests.fakes.edge import Edge, arrival
from tests.fakes.registry import key, snapshot, source

PATH = "/api/v1/webhooks/shop"
SAID = {"X-Tenant-Id": "acme", "Authorization": "Bearer hbk_a"}
NAMES = st.sampled_from([b"Host", b"host", b"X-A", b"x-a", b"Authorization", b"X-Api-Key", b"\xe9", b"X-%d", b"Cookie"])
VALUES = st.text(st.characters(max_codepoint=0x7F), max_size=20).map(str.encode)
RAW = st.lists(st.tuples(NAMES, st.binary(max_size=20) | VALUES), max_size=12)


@given(RAW)
def test_headers_are_read_as_if_each_were_looked_at(given_raw: list[tuple[bytes, bytes]]) -> None:
    for _ in range(2):  # the second time by the row of names
        read = headers.read(given_raw)
        pairs = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in given_raw)
        assert read.pairs == pairs
        assert read.by_name == {name.lower(): value for name, value in reversed(pairs)}
        assert read.size == sum(len(name) + len(value) for name, value in given_raw)
        assert read.names.distinct == (len({name.lower() for name, _ in pairs}) == len(pairs))
        for also in (NO_CARRIERS, Carriers("x-a")):
            assert read.kept(also) == orjson.dumps(redact.headers(pairs, also))


def test_rows_of_names_are_bounded() -> None:
    headers._ROWS.clear()
    for number in range(headers.MAX_ROWS + 10):
        headers.read([(b"X-%d" % number, b"")])
    assert len(headers._ROWS) == 10
    headers.read([(b"X-%d" % number, b"") for number in range(headers.MAX_NAMES + 1)])
    headers.read([(b"X" * (headers.MAX_NAME_BYTES + 1), b"")])
    assert len(headers._ROWS) == 10


def shop(**more: object) -> Edge:
    return Edge(snapshot([source("shop", auth="none")], keys={"hbk_a": key(**more)}))  # type: ignore[arg-type]


async def found(edge: Edge, came: Arrival) -> Target:
    route = routes.find(came.path)
    assert route is not None
    return await resolve.find(route, came, edge.env)


async def test_an_equal_request_gets_the_same_target_and_any_other_is_resolved() -> None:
    edge = shop()
    first = await found(edge, arrival(PATH, headers=SAID))
    assert await found(edge, arrival(PATH, b"other", SAID | {"X-Other": "1"})) is first
    others = [
        arrival(f"{PATH}?source=shop", headers=SAID),
        arrival(PATH, headers={"X-Tenant-Id": "acme"}),
        arrival(PATH, headers={"Authorization": "Bearer hbk_a"}),
    ]
    for other in others:
        assert await found(edge, other) is not first


async def test_nothing_outlives_its_snapshot() -> None:
    edge = shop()
    first = await found(edge, arrival(PATH, headers=SAID))
    edge.view.now = snapshot([source("shop", auth="none")], keys={"hbk_a": key()})
    again = await found(edge, arrival(PATH, headers=SAID))
    assert again is not first
    edge.view.now = snapshot([], keys={"hbk_a": key(permissions=())})
    with pytest.raises(Refused):
        await found(edge, arrival(PATH, headers=SAID))


async def test_a_key_that_is_not_known_yet_is_asked_for_each_time() -> None:
    edge = Edge(snapshot([source("github")]))
    for _ in range(2):
        await found(edge, arrival("/api/v1/webhooks/github", headers={"X-Tenant-Id": "acme"} | SAID))
    assert edge.view.refreshed == 2


async def test_tokens_of_senders_are_no_part_of_an_address() -> None:
    edge = Edge(snapshot([source("github")]))
    tenant = {"X-Tenant-Id": "acme"}
    first = await found(edge, arrival("/api/v1/webhooks/github", headers=tenant | {"Authorization": "Bearer aaa.b.c"}))
    assert await found(edge, arrival("/api/v1/webhooks/github", headers=tenant)) is first


async def test_addresses_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "MAX_KNOWN", 3)
    edge = shop()
    for number in range(5):
        await found(edge, arrival(f"{PATH}?x={number}", headers=SAID))
    assert len(edge.env.known._targets) == 2
    await found(edge, arrival(f"{PATH}?x={'9' * known.MAX_TEXT}", headers=SAID))
    assert len(edge.env.known._targets) == 2
    assert "hbk_" not in repr(edge.env.known) + repr(edge.env)
    assert Known().find(arrival(PATH, headers=SAID), edge.now) is None


@pytest.mark.parametrize("overrides", [Overrides(), Overrides(source="s", dedupe_key="kü")])
def test_a_stencil_writes_what_encode_writes(overrides: Overrides) -> None:
    meta = RawMeta(
        "d-1", "s-1", "acme", 5, "POST", "/in/\udcff", "a=1", (("X-A", "\xe9"),), AuthResult("hmac", "full", "x"),
        "e-1", overrides, "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
    )  # fmt: skip
    stencil = raw.Stencil("s-1", "acme", "POST", "/in/\udcff", overrides)
    made = stencil.fill("d-1", 5, "a=1", orjson.dumps(meta.headers), meta.auth, "e-1", meta.traceparent)
    assert made == raw.encode(meta)
    assert raw.decode(made) == meta
