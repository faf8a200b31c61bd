"""The engine's edges that no vector reaches."""

import pytest

from schemas.reasons import Reason
from schemas.signing import Container, Freshness, Invalid, Scheme, SignedRequest, Valid, sign, verify
from schemas.signing.template import to_bytes

BARE = Scheme("bare", "sha256", "{body}", Container("bare", "X-Sig"))
STAMPED = Scheme("s", "sha256", "{h.X-T}.{body}", Container("bare", "X-Sig"), freshness=Freshness("header", "X-T"))


def request(*headers: tuple[str, str]) -> SignedRequest:
    return SignedRequest("POST", "https://a.example/b", headers, b"body")


def test_signing_without_a_usable_secret_is_an_error() -> None:
    with pytest.raises(ValueError, match="no usable secret"):
        sign(BARE, request(), [b""], 0)


def test_signing_without_a_header_the_template_names_is_an_error() -> None:
    with pytest.raises(ValueError, match="lacks"):
        sign(Scheme("x", "sha256", "{h.X-Id}{body}", Container("bare", "X-Sig")), request(), [b"k"], 0)


def test_a_token_without_a_value_never_verifies() -> None:
    scheme = Scheme("x", "sha256", "{h.X-Id}{body}", Container("bare", "X-Sig"))
    verdict = verify(scheme, request(("X-Sig", "00" * 32)), [b"k"], 0)
    assert verdict == Invalid(Reason.SIGNATURE_MALFORMED)


@pytest.mark.parametrize("kind", ["base64", "hex"])
def test_a_secret_that_cannot_be_decoded_is_no_secret(kind: str) -> None:
    scheme = Scheme("x", "sha256", "{body}", Container("bare", "X-Sig"), key=kind)  # type: ignore[arg-type]
    assert verify(scheme, request(("X-Sig", "00" * 32)), [b"!!"], 0) == Invalid(Reason.NO_SECRET)


def test_the_stamp_of_a_sender_is_the_one_that_is_judged() -> None:
    added = sign(STAMPED, request(), [b"k"], 1000.9)
    assert added[0] == ("X-T", "1000")
    assert verify(STAMPED, request(*added), [b"k"], 1300) == Valid(0)
    assert verify(STAMPED, request(*added), [b"k"], 1301) == Invalid(Reason.TIMESTAMP_STALE)


def test_header_texts_become_the_bytes_they_stood_for() -> None:
    assert to_bytes("caf\xe9") == b"caf\xe9"
    assert to_bytes("\u2615") == "\u2615".encode()


def test_a_body_never_shows_in_a_repr() -> None:
    assert "b'body'" not in repr(request())
