"""A source's secret is hidden in what is kept of a refused request, however it was written."""

import base64
from urllib.parse import quote, quote_plus

import pytest

from ingress import redact

SECRET = b"s3cret +/\xe9&of the source"
TEXT = SECRET.decode("latin-1")


@pytest.mark.parametrize(
    "written",
    [
        TEXT,
        f"sha256={TEXT}",
        quote(SECRET),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        quote_plus(SECRET),
        SECRET.hex(),
        base64.b64encode(SECRET).decode(),
        base64.urlsafe_b64encode(SECRET).decode().rstrip("="),
    ],
)
def test_a_secret_is_hidden_however_it_is_written(written: str) -> None:
    shown = redact.without(f"before={written}&after=1", redact.writings([SECRET]))
    assert redact.HIDDEN in shown
    assert written not in shown


@pytest.mark.parametrize(
    "kept", ["whsec_bWFkZSBmb3I=", "v1,whsec_bWFkZSBmb3I=", "verify_token:bWFkZSBmb3I=", " bWFkZSBmb3I=\n"]
)
def test_a_secret_is_hidden_without_the_mark_that_it_is_kept_with(kept: str) -> None:
    assert redact.without("v1,bWFkZSBmb3I=", redact.writings([kept.encode()])) == "v1,***"


def test_what_holds_no_secret_stays_as_it_is() -> None:
    secrets = redact.writings([SECRET, b"abc", b""])
    for text in ("sha256=00ff", "/in/url-1?a=%41+b&c=100%", "", "abc"):
        assert redact.without(text, secrets) == text


def test_the_longest_is_hidden_first() -> None:
    assert redact.without("x-longer-secret", redact.writings([b"longer", b"longer-secret"])) == "x-***"
