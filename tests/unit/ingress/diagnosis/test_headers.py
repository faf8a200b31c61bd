"""Signatures that stand elsewhere, are written otherwise or made by another rule are named so."""

import base64
import binascii
from dataclasses import replace

import pytest
from msgspec import structs

from ingress.diagnosis import Cause
from schemas.signing import Container
from tests.unit.ingress.diagnosis.requests import (
    bare,
    changed,
    first,
    found,
    header,
    renamed,
    scheme,
    secret,
    signed,
)

SIGNING = ("github", "stripe", "slack", "standardwebhooks", "shopify", "square", "zendesk", "intercom")
HEX = ("github", "slack", "intercom", "linear", "stripe")
BASE64 = ("shopify", "square", "zendesk", "twilio", "standardwebhooks")


def body_of(platform: str) -> bytes:
    return {"linear": b'{"webhookTimestamp":1750000000000}', "twilio": b""}.get(platform, b'{"id":1}')


@pytest.mark.parametrize("platform", SIGNING)
@pytest.mark.parametrize("how", ["X-Signature", "underscores", "CGI", "without X-"])
def test_a_signature_under_another_name_is_named_with_both(platform: str, how: str) -> None:
    name = scheme(platform).container.header
    other = {
        "underscores": name.replace("-", "_"),
        "CGI": "HTTP_" + name.upper().replace("-", "_"),
        "without X-": name.removeprefix("X-").removeprefix("x-"),
    }.get(how, how)
    if other.lower() == name.lower():
        other = f"X-{name}"
    (finding, *_) = found(platform, renamed(signed(platform), name, other))
    assert (finding.cause, finding.certain) == (Cause.HEADER_NAME, True)
    assert other in finding.detail
    assert name in finding.detail


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp"])
def test_a_signed_header_under_another_name_is_named(name: str) -> None:
    request = renamed(signed("standardwebhooks"), name, name.replace("-", "_"))
    causes = [(one.cause, one.certain) for one in found("standardwebhooks", request)]
    assert (Cause.HEADER_NAME, True) in causes


def test_a_signed_header_that_is_gone_is_named() -> None:
    request = signed("standardwebhooks")
    request = structs.replace(request, headers=tuple(pair for pair in request.headers if pair[0] != "webhook-id"))
    (finding, *_) = found("standardwebhooks", request)
    assert (finding.cause, finding.certain) == (Cause.HEADER_MISSING, True)
    assert "webhook-id" in finding.detail


@pytest.mark.parametrize("platform", SIGNING)
def test_a_missing_signature_is_named_with_its_header(platform: str) -> None:
    (finding, *_) = found(platform, bare(platform))
    assert (finding.cause, finding.certain) == (Cause.HEADER_MISSING, True)
    assert scheme(platform).container.header in finding.detail


@pytest.mark.parametrize("platform", SIGNING)
def test_a_second_signature_header_that_would_be_right_is_named(platform: str) -> None:
    request = signed(platform, body_of(platform))
    name = scheme(platform).container.header
    bad = header(signed(platform, body_of(platform), key=b"whsec_b3RoZXI="), name)
    request = structs.replace(request, headers=((name, bad), *request.headers))
    (finding, *_) = found(platform, request)
    assert (finding.cause, finding.certain) == (Cause.HEADER_DUPLICATED, True)
    assert name in finding.detail


def rewritten(platform: str, encoding: str) -> str:
    """Return a vendor's right signature header with the digest in another encoding."""
    request, wanted = signed(platform, body_of(platform)), scheme(platform).container
    value = header(request, wanted.header)
    tag = f"{wanted.tag}=" if wanted.kind == "kv" else wanted.tag
    mark = value.index(tag) + len(tag)
    text = value[mark:]
    digest = binascii.unhexlify(text) if wanted.encoding == "hex" else base64.b64decode(text)
    made = {
        "hex": digest.hex(),
        "base64": base64.b64encode(digest).decode(),
        "base64url": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        "base64 of hex": base64.b64encode(digest.hex().encode()).decode(),
    }[encoding]
    return value[:mark] + made


@pytest.mark.parametrize("platform", HEX)
@pytest.mark.parametrize("encoding", ["base64", "base64url", "base64 of hex"])
def test_base64_where_hex_is_wanted_is_named(platform: str, encoding: str) -> None:
    name = scheme(platform).container.header
    request = changed(signed(platform, body_of(platform)), name, rewritten(platform, encoding))
    (finding, *_) = found(platform, request)
    assert (finding.cause, finding.certain) == (Cause.SIGNATURE_ENCODING, True)
    assert "write it as hex" in finding.detail


@pytest.mark.parametrize("platform", BASE64)
@pytest.mark.parametrize("encoding", ["hex", "base64url", "base64 of hex"])
def test_hex_where_base64_is_wanted_is_named(platform: str, encoding: str) -> None:
    name = scheme(platform).container.header
    request = changed(signed(platform, body_of(platform)), name, rewritten(platform, encoding))
    (finding, *_) = found(platform, request)
    assert (finding.cause, finding.certain) == (Cause.SIGNATURE_ENCODING, True)
    assert "write it as base64" in finding.detail


@pytest.mark.parametrize("platform", HEX)
def test_hex_in_upper_case_is_right(platform: str) -> None:
    request, wanted = signed(platform, body_of(platform)), scheme(platform).container
    value = header(request, wanted.header)
    mark = value.index(wanted.tag) + len(wanted.tag)
    assert found(platform, changed(request, wanted.header, value[:mark] + value[mark:].upper())) == ()


@pytest.mark.parametrize("platform", ["github", "slack", "intercom", "pagerduty", "standardwebhooks"])
@pytest.mark.parametrize("how", ["without its mark", "in quotation marks", "with another mark"])
def test_a_header_that_is_not_written_as_it_must_be_is_named_with_its_form(platform: str, how: str) -> None:
    request, wanted = signed(platform), scheme(platform).container
    value = header(request, wanted.header)
    text = value[len(wanted.tag) :]
    written = {"without its mark": text, "in quotation marks": f'"{value}"', "with another mark": f"sig={text}"}[how]
    (finding, *_) = found(platform, changed(request, wanted.header, written))
    assert (finding.cause, finding.certain) == (Cause.SIGNATURE_FORM, True)
    assert f"`{wanted.tag}" in finding.detail


def test_a_stripe_header_in_another_order_is_right_and_one_without_v1_is_named() -> None:
    request = signed("stripe")
    time, _, mac = header(request, "Stripe-Signature").partition(",")
    assert found("stripe", changed(request, "Stripe-Signature", f"{mac},{time}")) == ()
    told = first("stripe", changed(request, "Stripe-Signature", f"{time},v0={mac.removeprefix('v1=')}"))
    assert told == (Cause.SIGNATURE_FORM, True)


@pytest.mark.parametrize("platform", SIGNING)
def test_a_header_that_holds_no_signature_at_all_is_named_with_its_form(platform: str) -> None:
    name = scheme(platform).container.header
    request = signed(platform)
    for text in ("%%%", header(request, name)[:-9], "\xff\xfe", "sha256=", "v0=zz", "t=1750000000,v1=00"):
        causes = [(one.cause, one.certain) for one in found(platform, changed(request, name, text))]
        assert (Cause.SIGNATURE_FORM, True) in causes, text


@pytest.mark.parametrize("platform", SIGNING)
@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512", "sha256concat"])
def test_another_algorithm_is_named_with_the_one_that_is_wanted(platform: str, algorithm: str) -> None:
    right = scheme(platform)
    if algorithm == right.algorithm:
        return
    request = signed(platform, by=replace(right, algorithm=algorithm))  # type: ignore[arg-type]
    (finding, *_) = found(platform, request)
    assert (finding.cause, finding.certain) == (Cause.ALGORITHM, True)
    assert "this source takes HMAC-SHA-" in finding.detail


def test_githubs_old_header_alone_is_named_by_its_algorithm_and_its_name() -> None:
    old = replace(scheme("github"), algorithm="sha1", container=Container("prefix", "X-Hub-Signature", tag="sha1="))
    causes = {one.cause for one in found("github", signed("github", by=old))}
    assert causes == {Cause.ALGORITHM, Cause.HEADER_NAME}


@pytest.mark.parametrize("platform", ["stripe", "slack", "standardwebhooks"])
def test_a_sender_that_signs_the_body_alone_is_named_with_the_text_that_is_wanted(platform: str) -> None:
    request = signed(platform, by=replace(scheme(platform), message="{body}"))
    (finding, *_) = found(platform, request)
    assert (finding.cause, finding.certain) == (Cause.MESSAGE, True)
    assert scheme(platform).message in finding.detail


@pytest.mark.parametrize(
    ("platform", "other"),
    [("github", "stripe"), ("stripe", "slack"), ("standardwebhooks", "svix"), ("slack", "github")],
)
def test_a_delivery_of_another_vendor_is_named_whether_its_secret_is_ours_or_not(platform: str, other: str) -> None:
    told = found(platform, signed(other, key=secret(other)), secret(other))[0]
    assert (told.cause, told.certain) == (Cause.PLATFORM, True)
    assert f"signed the way of {other}" in told.detail
    told = found(platform, signed(other, key=b"whsec_b3RoZXI="))[0]
    assert (told.cause, told.certain) == (Cause.PLATFORM, False)


@pytest.mark.parametrize("platform", SIGNING)
def test_a_proof_that_was_pasted_redacted_is_named(platform: str) -> None:
    request = changed(signed(platform), scheme(platform).container.header, "***")
    assert first(platform, request) == (Cause.HEADER_HIDDEN, True)


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        ("Bearer s3cret-of-gitlab", Cause.SIGNATURE_FORM),
        ('"s3cret-of-gitlab"', Cause.SIGNATURE_FORM),
        (base64.b64encode(b"s3cret-of-gitlab").decode(), Cause.SIGNATURE_FORM),
        ("another", Cause.UNKNOWN),
    ],
)
def test_a_token_that_is_sent_otherwise_is_named(value: str, cause: Cause) -> None:
    request = structs.replace(bare("gitlab"), headers=(("X-Gitlab-Token", value),))
    assert first("gitlab", request)[0] is cause
    moved = structs.replace(bare("gitlab"), headers=(("Gitlab-Token", "s3cret-of-gitlab"),))
    assert first("gitlab", moved) == (Cause.HEADER_NAME, True)
