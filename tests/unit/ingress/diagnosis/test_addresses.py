"""Addresses that differ between the sender's settings and ours are named part by part."""

import pytest
from msgspec.structs import replace

from ingress.diagnosis import Cause
from tests.unit.ingress.diagnosis.requests import BODY, PUBLIC, URL, first, found, signed

BY_URL = ("twilio", "hubspot", "square")
FORM = "application/x-www-form-urlencoded"
BARE = URL.partition("?")[0]


def moved(platform: str, sender: str, ours: str, *headers: tuple[str, str]):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """Return a request that the sender signed for one address and that we have at another."""
    form = platform == "twilio"
    body, kind = (b"From=%2B1&Body=hello+you", FORM) if form else (BODY, "application/json")
    request = signed(platform, body, url=sender, content_type=kind)
    return replace(request, url=ours, headers=(*request.headers, *headers))


@pytest.mark.parametrize("platform", BY_URL)
@pytest.mark.parametrize(
    ("sender", "ours", "words"),
    [
        (URL, URL.replace("https", "http"), "scheme: we have http, the sender signed https"),
        (URL.replace("https", "http"), URL, "scheme: we have https, the sender signed http"),
        (URL.replace(".com", ".com:8443"), URL, "port: we have none, the sender signed 8443"),
        (URL, URL.replace(".com", ".com:8081"), "port: we have 8081, the sender signed none"),
        (BARE, f"{BARE}/", "the path differs in its trailing slash"),
        (f"{BARE}/", BARE, "the path differs in its trailing slash"),
        (BARE, URL, "the query differs"),
        (URL, "http://127.0.0.1:8081" + URL.removeprefix(PUBLIC), "host: we have 127.0.0.1, the sender signed hooks"),
        (f"{BARE}?b=x%20y&a=1", f"{BARE}?b=x+y&a=1", "the query differs"),
    ],
    ids=["http", "https", "port left out", "port put in", "slash put in", "slash left out", "query", "host", "escapes"],
)
def test_an_address_that_differs_is_named_by_its_part(platform: str, sender: str, ours: str, words: str) -> None:
    if platform == "twilio" and "port" in words and "8081" in words:
        return  # its addresses are right with and without a port
    (finding, *_) = found(platform, moved(platform, sender, ours))
    assert (finding.cause, finding.certain) == (Cause.URL_MISMATCH, True)
    assert words in finding.detail
    assert "public_ingest_url" in finding.detail
    assert "t0ken-of-the-source" not in finding.detail


@pytest.mark.parametrize("platform", BY_URL)
@pytest.mark.parametrize("name", ["Host", "X-Forwarded-Host", "X-Original-Host"])
def test_the_senders_host_is_found_in_the_headers_of_a_proxy(platform: str, name: str) -> None:
    request = moved(platform, URL.replace("hooks.", "gate."), URL, (name, "gate.example.com"))
    (finding, *_) = found(platform, request)
    assert (finding.cause, finding.certain) == (Cause.URL_MISMATCH, True)
    assert "the sender signed gate.example.com" in finding.detail


@pytest.mark.parametrize("platform", BY_URL)
def test_an_address_that_nothing_tells_is_guessed_only(platform: str) -> None:
    request = moved(platform, "https://elsewhere.example.org/x", "http://127.0.0.1:8081/in/x")
    causes = [(one.cause, one.certain) for one in found(platform, request)]
    assert (Cause.URL_MISMATCH, False) in causes
    assert causes[-1] == (Cause.UNKNOWN, False)


def test_twilio_takes_its_address_with_and_without_the_default_port() -> None:
    assert found("twilio", moved("twilio", URL.replace(".com", ".com:443"), URL)) == ()


def test_a_body_that_twilio_cannot_have_signed_is_named_by_its_type() -> None:
    request = moved("twilio", URL, URL)
    headers = tuple(("Content-Type", "text/plain") if name == "Content-Type" else (name, value)
                    for name, value in request.headers)  # fmt: skip
    told = first("twilio", replace(request, headers=headers))
    assert told == (Cause.BODY_FORM, True)


@pytest.mark.parametrize(
    "url", ["", "x", "https://[", "https://h:port/", "https://h/%zz?%zz=%ff", "http://" + "h" * 9000]
)
def test_odd_addresses_are_only_not_explained(url: str) -> None:
    for platform in BY_URL:
        assert found(platform, replace(moved(platform, URL, URL), url=url))
