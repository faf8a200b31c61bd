"""Large bodies are hashed and looked into in a thread, small ones where they are; heads and answers are bounded."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest

from ingress import body, receive
from ingress.authenticate import authenticate
from ingress.env import Limits
from ingress.life import OFF_LOOP_BYTES, Life
from schemas.reasons import Reason
from schemas.signing import SignedRequest, sign
from schemas.vendors.github import GITHUB
from tests.fakes.edge import Edge
from tests.fakes.registry import key, snapshot, source

TENANT = {"X-Tenant-Id": "acme"}
GENERIC = "/api/v1/webhooks/generic/acme"


@contextmanager
def threads() -> Iterator[dict[str, int]]:
    """Note in which thread a request was authenticated and its body looked into."""
    seen: dict[str, int] = {}
    judge, outgoing = authenticate, Life.outgoing

    def noted_authenticate(*given: object) -> object:
        seen["authenticate"] = threading.get_ident()
        return judge(*given)  # type: ignore[arg-type]

    def noted_outgoing(*given: object) -> object:
        seen["outgoing"] = threading.get_ident()
        return outgoing(*given)  # type: ignore[arg-type]

    with patch.object(receive, "authenticate", noted_authenticate), patch.object(Life, "outgoing", noted_outgoing):
        yield seen


@pytest.mark.parametrize(("size", "off"), [(OFF_LOOP_BYTES, False), (OFF_LOOP_BYTES + 1, True)])
async def test_a_body_above_a_mebibyte_is_judged_in_a_thread(size: int, off: bool) -> None:
    large = b'{"a":"' + b"x" * (size - 8) + b'"}'
    edge = Edge(snapshot([source("github")]), limits=Limits(4 << 20, 5.0, 64 << 10))
    assert GITHUB.auth is not None
    headers = TENANT | dict(sign(GITHUB.auth, SignedRequest("POST", "", (), large), [b"s3cret"], 0))
    with threads() as seen:
        assert (await edge.post("/api/v1/webhooks/github", large, headers)).status == 200
    here = threading.get_ident()
    assert (seen["authenticate"] != here, seen["outgoing"] != here) == (off, off)


async def test_a_small_gzip_bomb_is_inflated_in_a_thread_and_to_the_limit_only() -> None:
    edge = Edge(snapshot([source("generic", auth="none")], keys={"hbk_a": key()}))
    bomb = gzip.compress(b'{"a":"' + b"x" * (32 << 20) + b'"}')
    assert len(bomb) < OFF_LOOP_BYTES
    headers = TENANT | {"Authorization": "Bearer hbk_a", "Content-Encoding": "gzip"}
    with threads() as seen:
        reply = await edge.post(GENERIC, bomb, headers)
    assert reply.reason is Reason.BODY_NOT_OBJECT
    assert seen["outgoing"] != threading.get_ident()


def test_compressed_bodies_weigh_what_they_may_become() -> None:
    assert body.weight(b"x" * 10, "") == 10
    assert body.weight(b"x" * 10, " GZIP ") > 10_000


async def test_a_head_larger_than_the_bound_is_431() -> None:
    edge = Edge(snapshot([source("shop", auth="none")], keys={"hbk_a": key()}))
    headers = tuple((f"X-{number}", "x" * 8_000) for number in range(9))
    reply = await edge.post("/api/v1/webhooks/shop", headers=headers)
    assert (reply.status, reply.reason, reply.close) == (431, Reason.HEADERS_TOO_LARGE, True)
