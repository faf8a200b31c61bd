"""Who asks for what is not there learns nothing: one answer by one way; X-Tenant-Id agrees with the key and the URL."""

import sys
from types import FrameType

import pytest

from ingress import answers
from ingress.arrival import Reply
from ingress.receive import receive
from schemas.errors import Refused
from schemas.reasons import Reason
from tests.fakes.edge import Edge, MemoryBody, arrival
from tests.fakes.registry import key, snapshot, source
from tests.unit.ingress.test_receive import BODY, GITHUB, TENANT, signed

UNKNOWN = {
    "tenant": ("/api/v1/webhooks/github", {"X-Tenant-Id": "nobody"}),
    "platform": ("/api/v1/webhooks/gitlab", TENANT),
    "url": ("/in/never-made", {}),
}
CALLS = {"current", "refresh", "register", "publish", "whole", "chunk", "go_on", "enter", "find", "refused", "note",
         "answered"}  # fmt: skip
"""What a request does that can be seen or measured from outside: ports, body, admission, counters."""


async def ask(path: str, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> tuple[Reply, list[str], int]:
    """Return the answer, the calls that were made in order, and the line that refused."""
    edge = Edge(snapshot([GITHUB], keys={"hbk_a": key()}))
    lines: list[int] = []
    made = answers.refused

    def refused(exc: Refused, *, status: int | None = None) -> Reply:
        last = exc.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        lines.append(0 if last is None else last.tb_lineno)
        return made(exc, status=status)

    monkeypatch.setattr(answers, "refused", refused)
    called: list[str] = []

    def profile(frame: FrameType, event: str, _arg: object) -> None:
        name = frame.f_code.co_name
        if event == "call" and name in CALLS and "/asyncio/" not in frame.f_code.co_filename:
            called.append(name)

    sent = arrival(path, BODY, headers, stream=MemoryBody(BODY))
    sys.setprofile(profile)
    try:
        reply = await receive(sent, edge.env)
    finally:
        sys.setprofile(None)
        monkeypatch.undo()
    assert edge.publisher.records == []
    return reply, called, lines[0]


@pytest.mark.parametrize("more", [{}, {"Authorization": "Bearer hbk_unknown"}], ids=["no key", "unknown key"])
async def test_unknown_tenant_platform_and_url_are_one_answer_by_one_way(
    more: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {name: await ask(path, headers | more, monkeypatch) for name, (path, headers) in UNKNOWN.items()}
    assert found["tenant"] == found["platform"] == found["url"]
    reply, called, _ = found["tenant"]
    assert (reply.status, reply.reason) == (404, Reason.NOT_FOUND)
    assert {"current", "refresh", "refused", "answered"} <= set(called)
    assert not {"register", "publish", "whole", "chunk", "enter"} & set(called)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_other_methods_tell_nothing_either(method: str) -> None:
    edge = Edge(snapshot([GITHUB]))
    paths = [("/api/v1/webhooks/github", TENANT), *UNKNOWN.values()]
    replies = {await edge.post(path, b"", headers, method=method) for path, headers in paths}
    assert [reply.status for reply in replies] == [405]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/in/tok3n", {"X-Tenant-Id": "other"}),
        ("/in/tok3n", {"X-Tenant-Id": "nobody"}),
        ("/api/v1/webhooks/generic/acme", {"X-Tenant-Id": "other", "Authorization": "Bearer hbk_a"}),
        ("/api/v1/webhooks/shop", {"X-Tenant-Id": "other", "Authorization": "Bearer hbk_a"}),
        ("/api/v1/webhooks/github", {"X-Tenant-Id": "acme", "Authorization": "Bearer hbk_o"}),
        ("/api/v1/webhooks/new", {"X-Tenant-Id": "other", "Authorization": "Bearer hbk_a"}),
        ("/api/v1/webhooks/generic/other", {"X-Tenant-Id": "acme", "Authorization": "Bearer hbk_any"}),
    ],
)
async def test_a_tenant_header_that_disagrees_with_key_or_url_is_404(path: str, headers: dict[str, str]) -> None:
    edge = disagreeing()
    reply = await edge.post(path, BODY, {**signed("github", BODY), **headers})
    assert (reply.status, reply.reason) == (404, Reason.NOT_FOUND)
    assert (edge.registrar.made, edge.publisher.records) == ([], [])


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/in/tok3n", {"X-Tenant-Id": "acme"}, 200),
        ("/in/tok3n", {}, 200),
        ("/api/v1/webhooks/generic/acme", {"X-Tenant-Id": "acme", "Authorization": "Bearer hbk_a"}, 202),
        ("/api/v1/webhooks/shop", {"X-Tenant-Id": "acme", "Authorization": "Bearer hbk_any"}, 200),
        ("/api/v1/webhooks/shop", {"Authorization": "Bearer hbk_a"}, 200),
    ],
)
async def test_a_tenant_header_that_agrees_is_taken(path: str, headers: dict[str, str], status: int) -> None:
    assert (await disagreeing().post(path, BODY, headers)).status == status


async def test_two_tenant_headers_that_differ_are_refused() -> None:
    twice = (*signed("github", BODY).items(), ("x-tenant-id", "other"))
    reply = await disagreeing().post("/api/v1/webhooks/github", BODY, twice)
    assert (reply.status, reply.reason) == (400, Reason.BAD_REQUEST)


def disagreeing() -> Edge:
    """Make an edge with sources of two tenants, a secret URL and keys of one tenant and of any."""
    sources = [
        GITHUB,
        source("hooks", auth="url", secrets=()),
        source("shop", auth="none"),
        source("generic", auth="none"),
        source("shop", auth="none", tenant="other"),
        source("generic", auth="none", tenant="other"),
    ]
    keys = {"hbk_a": key(), "hbk_o": key("other", name="o"), "hbk_any": key(None, name="any")}
    return Edge(snapshot(sources, keys=keys, urls={"tok3n": ("src-acme-hooks", "url-1")}))
