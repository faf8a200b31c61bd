"""A source's own auth at the door: tolerance, tokens, and words that say what to do next."""

from dataclasses import replace

import pytest
from msgspec import structs

from ingress.authenticate import authenticate, remedy
from ingress.target import Target
from schemas.definitions.auth import Auth
from schemas.reasons import Reason
from schemas.signing import Invalid, SignedRequest, sign
from schemas.vendors import VENDORS, adapter
from schemas.wire.raw import AuthResult
from tests.contract.vendors.tokens import TEAMS
from tests.fakes.registry import source

NOW = 1_750_000_000
BODY = b'{"event_id":"evt_1"}'


def target(platform: str, *, tolerance: int | None = None, secrets: tuple[bytes, ...] = (b"s3cret",)) -> Target:
    view = source(platform, secrets=secrets)
    auth = Auth(type=platform, tolerance_seconds=tolerance)
    view = replace(view, definition=view.definition.model_copy(update={"auth": auth}))
    return Target(view, adapter(platform), f"/api/v1/webhooks/{platform}")


def signed(platform: str, at: int) -> SignedRequest:
    scheme = VENDORS[platform].schemes[0]
    bare = SignedRequest("POST", "https://hooks.example.com/in/1", (), BODY)
    return structs.replace(bare, headers=sign(scheme, bare, [b"s3cret"], at))


@pytest.mark.parametrize(
    ("age", "tolerance", "right"), [(6, None, False), (6, 30, True), (-30, 30, True), (31, 30, False)]
)
def test_a_sources_own_tolerance_counts_both_ways(age: int, tolerance: int | None, *, right: bool) -> None:
    verdict = authenticate(target("paddle", tolerance=tolerance), signed("paddle", NOW - age), NOW)
    assert (verdict == AuthResult("paddle", "full", "sec-0")) is right


def test_the_words_name_the_tolerance_in_force() -> None:
    assert "over 30 s ago" in remedy(target("paddle", tolerance=30), Reason.TIMESTAMP_STALE)
    assert "over 5 s ahead" in remedy(target("paddle"), Reason.TIMESTAMP_FUTURE)


@pytest.mark.parametrize(
    ("platform", "reason", "words"),
    [
        ("adyen", Reason.SIGNATURE_MISSING, "the member /additionalData/hmacSignature of each item"),
        ("cloudevents", Reason.SIGNATURE_MISSING, "the header Authorization or the query parameter access_token"),
        ("square", Reason.SIGNATURE_MISMATCH, "public_ingest_url"),
        ("github", Reason.SIGNATURE_MISMATCH, "encodes the body anew"),
        ("gitlab", Reason.SIGNATURE_MISMATCH, "both sides hold the same text"),
        ("linear", Reason.TIMESTAMP_MISSING, "webhookTimestamp"),
        ("discord", Reason.NO_SECRET, "no secret that can be used"),
        ("twilio", Reason.SIGNATURE_MALFORMED, "https://www.twilio.com"),
    ],
)
def test_a_refusal_says_where_to_look(platform: str, reason: Reason, words: str) -> None:
    said = remedy(target(platform), reason)
    assert words in said
    assert "s3cret" not in said


def test_a_handshakes_token_is_skipped_and_the_others_keep_their_names() -> None:
    verdict = authenticate(target("meta", secrets=(b"verify_token:t", b"s3cret")), signed("meta", NOW), NOW)
    assert verdict == AuthResult("meta", "full", "sec-1")
    only = authenticate(target("meta", secrets=(b"verify_token:s3cret",)), signed("meta", NOW), NOW)
    assert only == Invalid(Reason.NO_SECRET)


def test_a_token_without_its_issuers_keys_proves_nothing() -> None:
    at = Target(source("teams", auth=TEAMS.auth()), adapter("teams"), "/api/v1/webhooks/teams")
    request = SignedRequest("POST", "/", (("Authorization", f"Bearer {TEAMS.make(NOW)}"),), b"{}")
    assert authenticate(at, request, NOW) == Invalid(Reason.TOKEN_KEYS_AWAY)
    assert authenticate(at, request, NOW + 9_999) == Invalid(Reason.TOKEN_EXPIRED)
    assert "auth.jwksUrl" in remedy(at, Reason.TOKEN_KEYS_AWAY)
