"""Calls on behalf of users, over real sockets and TLS: what is taken from an issuer and what is not."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schemas.backing.egress import Guard, HttpEgress
from schemas.errors import ConfigurationError, Transient
from schemas.settings.processes import EgressSettings
from tests.house.certificates import authority
from tests.integration.issuer import HOST, IssuerServer, issuing

LIMIT = 1 << 16


@pytest.fixture
async def issuer(tmp_path: Path) -> AsyncIterator[IssuerServer]:
    async with issuing(tmp_path) as made:
        yield made


async def refused(issuer: IssuerServer, url: str, **settings: object) -> str:
    with pytest.raises(Transient) as caught:
        await HttpEgress.of(issuer.settings(**settings)).get(url, limit_bytes=LIMIT)
    return str(caught.value)


async def test_gets_a_document_and_tells_nothing_of_us(issuer: IssuerServer) -> None:
    egress = HttpEgress.of(issuer.settings())
    assert json.loads(await egress.get(issuer.url(), limit_bytes=LIMIT)) == {"keys": []}
    [asked] = issuer.seen
    assert (asked.method, asked.headers["User-Agent"]) == ("GET", "hookberg")
    assert not {"Cookie", "Authorization", "Referer"} & set(asked.headers)


async def test_loopback_is_refused_before_any_connection(issuer: IssuerServer) -> None:
    for host in ("localhost", "127.0.0.1"):
        assert "no public address" in await refused(issuer, issuer.url(host=host), egress_networks="")
    assert issuer.seen == []


async def test_the_address_that_was_checked_is_the_one_that_is_called(issuer: IssuerServer) -> None:
    """A name server that changes its mind between the check and the call changes nothing."""
    asked: list[str] = []

    async def names(host: str, _port: int) -> tuple[str, ...]:
        asked.append(host)
        return ("127.0.0.1",) if len(asked) == 1 else ("10.0.0.1",)

    good = HttpEgress.of(issuer.settings())
    egress = HttpEgress(good.guard, timeout_s=5, tls=good._tls, resolve=names)
    assert await egress.get(issuer.url(host=HOST), limit_bytes=LIMIT)
    assert asked == [HOST]
    assert issuer.seen[0].host == f"{HOST}:{issuer.port}"
    with pytest.raises(Transient, match=r"10\.0\.0\.1"):
        await egress.get(issuer.url(host=HOST), limit_bytes=LIMIT)


async def test_follows_no_redirect(issuer: IssuerServer) -> None:
    said = await refused(issuer, issuer.url("/moved"))
    assert "answered 302" in said
    assert "redirects are not followed" in said
    assert issuer.calls == {"/moved": 1}


async def test_bounds_what_it_reads(issuer: IssuerServer) -> None:
    assert f"more than {LIMIT} bytes" in await refused(issuer, issuer.url("/endless"))


async def test_bounds_how_long_it_waits(issuer: IssuerServer) -> None:
    assert "within 0.3 s" in await refused(issuer, issuer.url("/silent"), egress_timeout_s=0.3)


async def test_inflates_nothing(issuer: IssuerServer) -> None:
    assert "compressed" in await refused(issuer, issuer.url("/squeezed"))


@pytest.mark.parametrize("path", ["/nothing", "/keys"])
async def test_takes_nothing_but_a_200(issuer: IssuerServer, path: str) -> None:
    issuer.down = path == "/keys"
    assert f"answered {500 if issuer.down else 404} instead of 200" in await refused(issuer, issuer.url(path))


async def test_trusts_no_unknown_authority_and_no_other_name(issuer: IssuerServer) -> None:
    assert "egress_ca_file" in await refused(issuer, issuer.url(), egress_ca_file=None)

    async def names(_host: str, _port: int) -> tuple[str, ...]:
        return ("127.0.0.1",)

    good = HttpEgress.of(issuer.settings())
    egress = HttpEgress(good.guard, timeout_s=5, tls=good._tls, resolve=names)
    with pytest.raises(Transient, match="not trusted"):
        await egress.get(issuer.url(host="other.test"), limit_bytes=LIMIT)
    assert issuer.seen == []


async def test_says_that_nobody_listens(tmp_path: Path) -> None:
    async with issuing(tmp_path) as gone:
        url, settings = gone.url(), gone.settings()
    with pytest.raises(Transient, match="localhost cannot be read"):
        await HttpEgress.of(settings).get(url, limit_bytes=LIMIT)


async def test_an_answer_that_is_no_http_is_an_error_like_others() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"\x00\xff babble\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    egress = HttpEgress(Guard.of(EgressSettings(egress_networks="127.0.0.1", egress_allow_http=True)), timeout_s=5)
    async with server:
        with pytest.raises(Transient, match=r"127\.0\.0\.1 cannot be read"):
            await egress.get(f"http://127.0.0.1:{port}/", limit_bytes=LIMIT)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_file_that_cannot_be_used_ends_the_process_in_words(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigurationError, match="HOOKBERG_EGRESS_CA_FILE"):
        HttpEgress.of(EgressSettings(egress_ca_file=file))


def test_a_private_authority_is_trusted_beside_the_public_ones(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text(authority().pem)
    with_it = HttpEgress.of(EgressSettings(egress_ca_file=file))
    without = HttpEgress.of(EgressSettings())
    assert len(with_it._tls.get_ca_certs()) == len(without._tls.get_ca_certs()) + 1
