"""Secrets that were pasted, stored, decoded or taken wrongly are named by what is wrong with them."""

import base64

import pytest

from ingress.diagnosis import Cause, Secret
from schemas.signing import sign
from schemas.vendors import VENDORS
from tests.unit.ingress.diagnosis.requests import NOW, bare, first, found, secret, signed

SIGNING = ("github", "stripe", "slack", "standardwebhooks", "shopify", "twilio", "square", "hubspot", "linear")
TEXTS = ("github", "stripe", "slack", "shopify", "square", "pagerduty")
BODIES = {"linear": b'{"webhookTimestamp":1750000000000}', "twilio": b""}


def sent(platform: str, key: bytes | None = None):  # type: ignore[no-untyped-def]  # noqa: ANN201
    return signed(platform, BODIES.get(platform, b'{"id":1}'), key=key)


@pytest.mark.parametrize("platform", SIGNING)
def test_the_right_request_has_no_cause(platform: str) -> None:
    assert found(platform, sent(platform)) == ()


@pytest.mark.parametrize("platform", SIGNING)
@pytest.mark.parametrize("odd", [b"%b\n", b" %b", b"\t%b\r\n"])
def test_white_space_around_the_stored_secret_is_named(platform: str, odd: bytes) -> None:
    (finding, *_) = found(platform, sent(platform), odd % secret(platform))
    assert (finding.cause, finding.certain) == (Cause.SECRET_WHITESPACE, True)
    assert "the stored secret begins or ends with white space" in finding.detail


@pytest.mark.parametrize("platform", TEXTS)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_line_feed_at_the_end_of_the_senders_secret_is_named(platform: str, end: bytes) -> None:
    (finding, *_) = found(platform, sent(platform, secret(platform) + end))
    assert (finding.cause, finding.certain) == (Cause.SECRET_WHITESPACE, True)
    assert "the sender's secret ends with" in finding.detail


@pytest.mark.parametrize("platform", SIGNING)
@pytest.mark.parametrize("odd", [b'"%b"', b"'%b'", b"WEBHOOK_SECRET=%b", b'export SECRET="%b"', b"verify_token:%b"])
def test_what_was_pasted_around_the_secret_is_named(platform: str, odd: bytes) -> None:
    assert first(platform, sent(platform), odd % secret(platform)) == (Cause.SECRET_PREFIX, True)


@pytest.mark.parametrize("platform", ["standardwebhooks", "svix", "stripe"])
def test_a_version_mark_before_whsec_is_named(platform: str) -> None:
    (finding, *_) = found(platform, sent(platform), b"v1," + secret(platform))
    assert (finding.cause, finding.certain) == (Cause.SECRET_PREFIX, True)
    assert "pasted with a version mark (as in `v1,whsec_…`)" in finding.detail


def test_whsec_that_was_left_out_is_named() -> None:
    (finding, *_) = found("stripe", sent("stripe"), secret("stripe").removeprefix(b"whsec_"))
    assert (finding.cause, finding.certain) == (Cause.SECRET_PREFIX, True)
    assert "stored without its whsec_" in finding.detail


@pytest.mark.parametrize("platform", TEXTS)
def test_a_sender_that_decodes_the_secret_is_named_with_its_reading(platform: str) -> None:
    key = b"\x00\x01the key of the sender\xff"
    for text, name in ((base64.b64encode(key), "base64"), (key.hex().encode(), "hex")):
        (finding, *_) = found(platform, sent(platform, key), text)
        assert (finding.cause, finding.certain) == (Cause.SECRET_ENCODING, True)
        assert f"as {name} text, this scheme takes the text itself" in finding.detail


@pytest.mark.parametrize("platform", ["standardwebhooks", "svix", "teams-outgoing", "adyen-platform"])
def test_a_sender_that_takes_the_text_where_it_should_decode_is_named(platform: str) -> None:
    text = secret(platform)
    scheme = VENDORS[platform].auth
    assert scheme is not None
    key = base64.b64encode(text) if scheme.key != "hex" else text.hex().encode()
    (finding, *_) = found(platform, sent(platform, key), text)
    assert (finding.cause, finding.certain) == (Cause.SECRET_ENCODING, True)
    assert "as plain text" in finding.detail


@pytest.mark.parametrize("platform", SIGNING)
def test_the_secret_of_another_environment_is_named_by_its_source(platform: str) -> None:
    other = Secret(secret(platform), "source 'staging' (stripe)", Cause.SECRET_OF_ANOTHER_SOURCE)
    stored = b"whsec_b3RoZXIgc2VjcmV0IG9mIG91cnM=" if platform in {"standardwebhooks", "svix"} else b"another-secret"
    (finding, *_) = found(platform, sent(platform), stored, others=(other,))
    assert (finding.cause, finding.certain) == (Cause.SECRET_OF_ANOTHER_SOURCE, True)
    assert "source 'staging'" in finding.detail


@pytest.mark.parametrize("platform", SIGNING)
def test_a_secret_that_was_removed_is_named_with_its_time(platform: str) -> None:
    old = Secret(secret(platform), "a secret that was removed from this source at 12:00", Cause.SECRET_REMOVED)
    stored = b"whsec_b3RoZXIgc2VjcmV0IG9mIG91cnM=" if platform in {"standardwebhooks", "svix"} else b"the-new-secret"
    (finding, *_) = found(platform, sent(platform), stored, others=(old,))
    assert (finding.cause, finding.certain) == (Cause.SECRET_REMOVED, True)
    assert "removed from this source at 12:00" in finding.detail


@pytest.mark.parametrize(
    ("platform", "stored", "words"),
    [
        ("stripe", b"sk_live_51HxSomeKeyOfStripe", "an API key of Stripe"),
        ("stripe", b"pk_test_51HxSomeKeyOfStripe", "a publishable key of Stripe"),
        ("slack", b"xoxb-123-456-abc", "a token of Slack"),
        ("github", b"ghp_abcdefghijklmnop", "an access token of GitHub"),
        ("shopify", b"shpat_0123456789abcdef", "an access token of Shopify"),
        ("twilio", b"AC0123456789abcdef0123456789abcdef", "an SID of Twilio"),
        ("square", b"https://hooks.example.com/in/x", "a URL"),
    ],
)
def test_a_text_that_is_no_signing_secret_is_named_for_what_it_seems(platform: str, stored: bytes, words: str) -> None:
    (finding, *_) = found(platform, sent(platform), stored)
    assert finding.cause is Cause.SECRET_KIND
    assert words in finding.detail


@pytest.mark.parametrize(("live", "words"), [(b"true", "live-mode event"), (b"false", "test-mode event")])
def test_a_stripe_event_of_the_other_mode_is_guessed_from_its_body(live: bytes, words: str) -> None:
    request = signed("stripe", b'{"livemode": %b}' % live, key=b"whsec_of_the_other_mode")
    (finding, *_) = found("stripe", request)
    assert (finding.cause, finding.certain) == (Cause.SECRET_ENVIRONMENT, False)
    assert words in finding.detail


@pytest.mark.parametrize(("platform", "stored"), [("adyen", b"no hex"), ("sendgrid", b"no key"), ("discord", b"zz")])
def test_a_secret_that_cannot_be_read_at_all_is_named(platform: str, stored: bytes) -> None:
    items = b'{"notificationItems":[{"NotificationRequestItem":{"additionalData":{"hmacSignature":"x"}}}]}'
    headers = {
        "sendgrid": (("X-Twilio-Email-Event-Webhook-Signature", "AAAA"),
                     ("X-Twilio-Email-Event-Webhook-Timestamp", str(NOW))),
        "discord": (("X-Signature-Ed25519", "00" * 64), ("X-Signature-Timestamp", str(NOW))),
    }.get(platform, ())  # fmt: skip
    request = bare(platform, items)
    request = type(request)("POST", request.url, (*request.headers, *headers), items)
    (finding, *_) = found(platform, request, stored)
    assert (finding.cause, finding.certain) == (Cause.SECRET_UNUSABLE, True)
    assert "none can be read as" in finding.detail


@pytest.mark.parametrize("platform", ["gitlab", "msgraph"])
@pytest.mark.parametrize("stored", [b"%b\n", b'"%b"'])
def test_tokens_are_explained_as_secrets_are(platform: str, stored: bytes) -> None:
    if platform == "msgraph":
        body = b'{"value":[{"clientState":"' + secret(platform) + b'"}]}'
        request = bare(platform, body)
    else:
        request = bare(platform)
        request = type(request)("POST", request.url, (("X-Gitlab-Token", secret(platform).decode()),), b"{}")
    cause, certain = first(platform, request, stored % secret(platform))
    assert (cause, certain) in {(Cause.SECRET_WHITESPACE, True), (Cause.SECRET_PREFIX, True)}


def test_a_public_key_of_another_pair_is_not_explained_away() -> None:
    scheme = VENDORS["discord"].auth
    assert scheme is not None
    request = bare("discord", b"{}")
    added = sign(scheme, request, [b"11" * 32], NOW)
    request = type(request)("POST", request.url, added, b"{}")
    assert first("discord", request, b"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a") == (
        Cause.UNKNOWN,
        False,
    )
