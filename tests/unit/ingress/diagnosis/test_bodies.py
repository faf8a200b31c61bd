"""Bodies that were changed on the way are named by what happened to them."""

import gzip
import json
from collections.abc import Callable
from urllib.parse import quote_plus, urlencode

import pytest
from msgspec.structs import replace

from ingress.diagnosis import Budget, Cause
from schemas.signing import SignedRequest
from tests.unit.ingress.diagnosis.requests import BODY, bare, first, found, signed

SIGNING_BODIES = ("github", "stripe", "slack", "standardwebhooks", "shopify", "square", "pagerduty", "zendesk")
VALUE = json.loads(BODY)


def arrived(platform: str, sent: bytes, came: bytes, **headers: str) -> SignedRequest:
    """Return a request whose body was changed after it was signed."""
    request = signed(platform, sent)
    return replace(request, body=came, headers=(*request.headers, *headers.items()))


def dumps(value: object, **how: object) -> bytes:
    return json.dumps(value, **how).encode()  # type: ignore[arg-type]


WRITERS: dict[str, Callable[[object], bytes]] = {
    "compact": lambda value: dumps(value, separators=(",", ":"), ensure_ascii=False),
    "with a space after , and :": lambda value: dumps(value, ensure_ascii=False),
    "keys sorted": lambda value: dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True),
    "other characters as \\u escapes": dumps,
    "indented by 2": lambda value: dumps(value, indent=2, ensure_ascii=False),
    "indented by 4": lambda value: dumps(value, indent=4, ensure_ascii=False),
    "/ written as \\/": lambda value: dumps(value, separators=(",", ":")).replace(b"/", b"\\/"),
    "<, > and & as \\u escapes": lambda value: (
        dumps(value, separators=(",", ":"), ensure_ascii=False).replace(b"<", b"\\u003c").replace(b">", b"\\u003e")
    ),
}


@pytest.mark.parametrize("platform", SIGNING_BODIES)
@pytest.mark.parametrize("writer", WRITERS)
def test_json_that_a_proxy_wrote_anew_is_named_with_the_writing_that_was_signed(platform: str, writer: str) -> None:
    sent = WRITERS[writer](VALUE)
    came = dumps(VALUE, indent=1)
    (finding, *_) = found(platform, arrived(platform, sent, came))
    assert (finding.cause, finding.certain) == (Cause.BODY_REENCODED, True)
    assert writer in finding.detail
    assert "parsed and re-encoded it" in finding.detail


def test_numbers_keep_the_text_that_came() -> None:
    sent = b'{"a":1.50,"b":12345678901234567890123,"c":1E400}'
    assert first("github", arrived("github", sent, sent.replace(b",", b", "))) == (Cause.BODY_REENCODED, True)


def test_escapes_in_upper_case_hex_are_tried() -> None:
    sent = b'{"a":"\\u00EB"}'
    assert first("github", arrived("github", sent, '{"a": "ë"}'.encode())) == (Cause.BODY_REENCODED, True)


@pytest.mark.parametrize("platform", SIGNING_BODIES)
@pytest.mark.parametrize(
    ("sent", "came"),
    [
        (b'{"a":1}\r\n', b'{"a":1}'),
        (b'{"a":1}\n', b'{"a":1}'),
        (b'{"a":1}', b'{"a":1}\n'),
        (b'{\r\n"a":1\r\n}', b'{\n"a":1\n}'),
        (b'{\n"a":1\n}', b'{\r\n"a":1\r\n}'),
        (b"a\r\nb\r\n", b"a\nb\n"),
    ],
    ids=["CRLF stripped", "LF stripped", "LF added", "CRLF to LF", "LF to CRLF", "CRLF to LF, no JSON"],
)
def test_line_ends_that_were_changed_are_named(platform: str, sent: bytes, came: bytes) -> None:
    (finding, *_) = found(platform, arrived(platform, sent, came))
    assert (finding.cause, finding.certain) == (Cause.BODY_LINE_ENDS, True)
    assert "keep the bytes as they came" in finding.detail


@pytest.mark.parametrize("platform", SIGNING_BODIES)
def test_a_byte_order_mark_is_named_whichever_side_has_it(platform: str) -> None:
    for sent, came in ((BODY, b"\xef\xbb\xbf" + BODY), (b"\xef\xbb\xbf" + BODY, BODY)):
        assert first(platform, arrived(platform, sent, came)) == (Cause.BODY_BOM, True)


FORM = b"token=x&text=hello+world&command=%2Fdo"


@pytest.mark.parametrize("platform", ["slack", "github", "pagerduty"])
@pytest.mark.parametrize(
    ("sent", "came"),
    [
        (FORM, dumps({"token": "x", "text": "hello world", "command": "/do"})),
        (FORM, b"token=x&text=hello%20world&command=/do"),
        (b"payload=" + quote_plus(BODY).encode(), BODY),
        (BODY, urlencode({BODY.decode(): ""}).encode()),
        (BODY, quote_plus(BODY).encode()),
    ],
    ids=["form to JSON", "form written anew", "payload field decoded", "JSON taken for a form", "percent-encoded"],
)
def test_a_body_that_a_form_parser_took_apart_is_named(platform: str, sent: bytes, came: bytes) -> None:
    assert first(platform, arrived(platform, sent, came)) == (Cause.BODY_FORM, True)


@pytest.mark.parametrize("platform", ["slack", "github", "pagerduty"])
def test_a_sender_that_signs_what_is_inside_its_form_is_named(platform: str) -> None:
    came = b"payload=" + quote_plus(BODY).encode()
    (finding, *_) = found(platform, arrived(platform, BODY, came))
    assert (finding.cause, finding.certain) == (Cause.BODY_FORM, True)
    assert "inside the form's field payload" in finding.detail


@pytest.mark.parametrize("platform", SIGNING_BODIES)
@pytest.mark.parametrize("came", [BODY.decode().encode("latin-1"), BODY.decode("latin-1").encode()])
def test_a_body_in_another_character_set_is_named(platform: str, came: bytes) -> None:
    assert first(platform, arrived(platform, BODY, came)) == (Cause.BODY_CHARSET, True)


@pytest.mark.parametrize("platform", ["github", "stripe", "slack"])
def test_a_signature_over_the_body_before_its_compression_is_named(platform: str) -> None:
    assert first(platform, arrived(platform, BODY, gzip.compress(BODY))) == (Cause.BODY_COMPRESSED, True)


@pytest.mark.parametrize("platform", SIGNING_BODIES)
def test_a_truncated_body_is_named_by_its_length_or_by_its_json(platform: str) -> None:
    told = found(platform, arrived(platform, BODY, BODY[:40], **{"Content-Length": str(len(BODY))}))[0]
    assert (told.cause, told.certain) == (Cause.BODY_TRUNCATED, True)
    assert f"has 40 bytes, Content-Length says {len(BODY)}" in told.detail
    assert first(platform, arrived(platform, BODY, BODY[:40])) == (Cause.BODY_TRUNCATED, True)
    assert first(platform, arrived(platform, BODY, b"")) == (Cause.BODY_TRUNCATED, True)


def test_bytes_that_were_replaced_on_the_way_are_named_as_the_likeliest_cause() -> None:
    came = b'{"a":"\xef\xbf\xbd"}'
    assert first("github", arrived("github", b'{"a":"\xeb"}', came)) == (Cause.BODY_CHARSET, False)


@pytest.mark.parametrize("platform", ["github", "stripe", "square"])
def test_a_body_that_was_truly_tampered_with_is_not_explained_away(platform: str) -> None:
    (finding, *_) = found(platform, arrived(platform, BODY, BODY.replace(b"paid", b"free")))
    assert (finding.cause, finding.certain) == (Cause.UNKNOWN, False)
    assert "another secret" in finding.detail
    assert "body was changed" in finding.detail


def test_deep_and_odd_json_is_only_not_explained() -> None:
    for came in (b"[" * 100_000, b'{"a":' * 5_000, b"\x00", b'{"a":"\\ud800"}', b"\xff\xfe", b"[1e999999]"):
        assert all(not one.certain or one.cause is Cause.BODY_TRUNCATED for one in found(
            "github", arrived("github", BODY, came)))  # fmt: skip


def test_the_budget_bounds_tries_bytes_and_the_size_of_bodies_written_anew() -> None:
    came = dumps({"a": ["x" * 100] * 500}, indent=1)
    request = arrived("github", dumps({"a": ["x" * 100] * 500}), came)
    assert found("github", request)[0].cause is Cause.BODY_REENCODED
    small = Budget(reencoded=len(came) - 1)
    assert found("github", request, budget=small)[0].cause is Cause.UNKNOWN
    few = Budget(tries=5)
    told = found("github", request, budget=few)[0]
    assert (told.cause, few.used, few.spent) == (Cause.UNKNOWN, 5, True)
    assert "cut short" in told.detail
    thin = Budget(bytes=3 * len(came))
    found("github", request, budget=thin)
    assert thin.used == 3


def test_an_unsigned_request_is_never_explained_by_its_body() -> None:
    assert first("github", bare("github")) == (Cause.HEADER_MISSING, True)
