"""Endpoints that lead inwards: refused, and nobody is connected to. Each row is one way to write or resolve one.

A server listens wherever the row would lead on this machine, and counts.
"""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator

import pytest

from schemas.backing.egress import HttpEgress, Keeping
from schemas.reasons import Reason
from tests.integration.backing.receiver import Receiver, egress, receiving

METADATA = "169.254.169.254"


@pytest.fixture
async def inside() -> AsyncIterator[Receiver]:
    """What must not be reached: every address of this machine, on one port."""
    async with receiving("0.0.0.0") as made:
        yield made


class Names:
    """A name server of the attacker: each look-up gives the next answer, the last one for ever."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, _host: str, _port: int) -> tuple[str, ...]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


async def refused(out: HttpEgress, url: str) -> None:
    got = await out.post(url, headers=(), body=b"{}", timeout_s=5, limit_bytes=9)
    assert (got.status, got.reason) == (None, Reason.ENDPOINT_FORBIDDEN), (url, got)
    assert got.detail


URLS = (
    "http://127.0.0.1:{port}/", "http://localhost:{port}/", "http://127.1:{port}/", "http://2130706433:{port}/",
    "http://0177.0.0.1:{port}/", "http://0x7f.0.0.1:{port}/", "http://0x7f000001:{port}/", "http://017700000001:{port}/",
    "http://127.0.0.1.:{port}/", "http://localhost.:{port}/", "http://0:{port}/", "http://0.0.0.0:{port}/",
    "http://[::1]:{port}/", "http://[::]:{port}/", "http://[::ffff:127.0.0.1]:{port}/", "http://[::ffff:7f00:1]:{port}/",
    "http://[::127.0.0.1]:{port}/", "http://[64:ff9b::7f00:1]:{port}/", "http://[64:ff9b:1::1]:{port}/",
    "http://[2002:7f00:1::]:{port}/", "http://[2001:0:7f00:1::]:{port}/", "http://[fe80::1%25lo]:{port}/",
    "http://[fe80::1%lo]:{port}/", "http://[fc00::1]:{port}/", "http://[fd00:ec2::254]:{port}/", "http://[ff02::1]:{port}/",
    "http://169.254.169.254/latest/meta-data/", "http://[::ffff:a9fe:a9fe]/", "http://100.64.0.1/", "http://10.0.0.1/",
    "http://172.16.0.1/", "http://192.168.1.1/", "http://224.0.0.1/", "http://255.255.255.255/", "http://198.18.0.1/",
    "http://192.0.2.1/", "http://240.0.0.1/", "http://metadata.google.internal@127.0.0.1:{port}/",
    "http://example.com@127.0.0.1:{port}/", "http://user:pass@127.0.0.1:{port}/", "http://example.com:80@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@example.com/", "http://example.com\\@127.0.0.1:{port}/", "http://127.0.0.1:{port}#@example.com/",
    "http://127.0.0.1:{port}/#x", "http://127.0.0.1%2eexample.com:{port}/", "http://%6c%6f%63alhost:{port}/",
    "http://\uff11\uff12\uff17.0.0.1:{port}/", "http://loc\u200balhost:{port}/", "http://\u24db\u24de\u24d2alhost:{port}/",
    "http:127.0.0.1:{port}/", "http:/127.0.0.1:{port}/", "http:///127.0.0.1:{port}/", "//127.0.0.1:{port}/",
    "127.0.0.1:{port}", " http://127.0.0.1:{port}/", "http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "http://127.0.0.1:{port}/\r\nX: y", "http://127.0.0.1\t:{port}/", "http://127.0.0.1:+{port}/",
    "http://127.0.0.1: {port}/",
    "http://127.0.0.1:0{port}0/", "http://127.0.0.1:0/", "http://127.0.0.1:99999/", "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_x", "file:///etc/passwd", "unix:///run/docker.sock", "ws://127.0.0.1:{port}/",
    "dict://127.0.0.1:{port}/", "data:text/plain,x", "javascript:alert(1)", "", "http://", "http://[", "http://[::1", "http://]/",
    "http://" + "a" * 300 + ".example/", "http://a..example/", "http://-a.example/", "http://.example/",
)  # fmt: skip


async def test_refuses_every_url_that_leads_inwards(inside: Receiver) -> None:
    """With http allowed and no private network: the address alone decides."""
    out = egress("", allow_http=True)
    for url in URLS:
        await refused(out, url.replace("{port}", str(inside.port)))
        assert inside.connections == 0, url
    await out.close()


ANSWERS = (
    ("127.0.0.1",), ("0.0.0.0",), ("127.53.53.53",), ("::1",), ("::",), ("::ffff:127.0.0.1",), ("64:ff9b::7f00:1",),
    ("2002:7f00:1::",), (METADATA,), ("fd00:ec2::254",), ("fe80::1%lo",), ("10.1.2.3",), ("100.127.255.254",),
    ("192.168.0.1",), ("172.31.0.1",), ("224.0.0.251",), ("93.184.216.34", "127.0.0.1"), ("127.0.0.1", "93.184.216.34"),
    ("2606:4700::1111", "::1"),
)  # fmt: skip


async def test_refuses_a_name_that_leads_inwards_by_any_of_its_addresses(inside: Receiver) -> None:
    for answer in ANSWERS:
        out = egress("", resolve=Names(answer))
        await refused(out, f"http://hooks.example:{inside.port}/")
        assert inside.connections == 0, answer
        await out.close()


async def test_http_is_refused_unless_allowed(inside: Receiver) -> None:
    out = egress(allow_http=False)
    await refused(out, f"http://127.0.0.1:{inside.port}/")
    assert inside.connections == 0
    await out.close()


async def test_a_name_is_looked_up_once_and_that_very_address_called() -> None:
    """Rebinding between the check and the call: the second answer is never asked for."""
    async with receiving("127.0.0.3") as allowed:
        names = Names(("127.0.0.3",), (METADATA,), ("127.0.0.1",))
        out = egress("127.0.0.3/32", resolve=names)
        got = await out.post(f"http://hooks.example:{allowed.port}/", headers=(), body=b"", timeout_s=5, limit_bytes=9)
        assert (got.status, names.asked, allowed.connections) == (200, 1, 1)
        await out.close()


async def test_a_kept_connection_goes_to_the_address_that_was_checked_and_to_no_later_one() -> None:
    """Rebinding between two calls, on the same port: first within the life of a connection, then after it."""
    async with receiving("127.0.0.3") as allowed, receiving("127.0.0.4", port=allowed.port) as forbidden:
        names = Names(("127.0.0.3",), ("127.0.0.4",))
        url = f"http://hooks.example:{allowed.port}/"
        out = egress("127.0.0.3/32", resolve=names, keeping=Keeping(max_age_s=3600))
        for _ in range(2):
            assert (await out.post(url, headers=(), body=b"", timeout_s=5, limit_bytes=9)).status == 200
        await out.close()
        assert (names.asked, allowed.connections, len(allowed.requests)) == (1, 1, 2)
        aged = egress("127.0.0.3/32", resolve=Names(("127.0.0.3",), ("127.0.0.4",)), keeping=Keeping(max_age_s=0))
        assert (await aged.post(url, headers=(), body=b"", timeout_s=5, limit_bytes=9)).status == 200
        await refused(aged, url)
        assert forbidden.connections == 0
        await aged.close()


async def test_two_names_behind_one_address_share_no_connection(inside: Receiver) -> None:
    """A connection whose certificate was asked for one name carries nothing for another."""
    out = egress(resolve=Names(("127.0.0.1",)))
    for host in ("one.example", "two.example", "one.example"):
        url = f"http://{host}:{inside.port}/"
        assert (await out.post(url, headers=(), body=b"", timeout_s=5, limit_bytes=9)).status == 200
    assert inside.connections == 2
    await out.close()


async def test_no_proxy_of_the_environment_is_used(inside: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        out = egress()
        url = f"http://127.0.0.1:{inside.port}/"
        assert (await out.post(url, headers=(), body=b"", timeout_s=5, limit_bytes=9)).status == 200
        assert proxy.connections == 0
        await out.close()


async def test_a_name_that_hangs_keeps_no_other_waiting_and_one_thread_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look-ups outlive their deadlines; the same name asked again joins the one that hangs."""
    let, asked = threading.Event(), []

    def slow(host: str, *_args: object, **_kinds: object) -> list[tuple[object, ...]]:
        asked.append(host)
        if host == "hangs.example":
            let.wait(20)
        return [(2, 1, 6, "", ("10.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    out = egress("", look_ups=2)
    try:
        calls = [
            out.post("http://hangs.example/", headers=(), body=b"", timeout_s=0.1, limit_bytes=1) for _ in range(5)
        ]
        assert {got.reason for got in await asyncio.gather(*calls)} == {Reason.ENDPOINT_TIMEOUT}
        await refused(out, "http://other.example/")
        assert asked == ["hangs.example", "other.example"]
    finally:
        let.set()
        await out.close()
