"""A request judged without taking it: the door's own verdict, and words for what a person should do."""

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from ingress.diagnosis import MAX_SECRETS, Cause, Secret
from ingress.dry_run import Given, Surroundings, judge, known, others
from ingress.jwks import NoKeys
from schemas.definitions.auth_free import ApiKeyAuth, BasicAuth, BearerAuth, HmacAuth
from schemas.definitions.key import Permission
from schemas.definitions.view import SourceView
from schemas.reasons import Reason
from schemas.signing import SignedRequest, sign
from schemas.vendors import VENDORS
from tests.fakes.registry import key, snapshot, source
from tests.unit.ingress.diagnosis.requests import BODY, NOW, PUBLIC, signed
from tests.unit.ingress.diagnosis.requests import secret as right

TOKEN = "t0ken-of-the-source"


def around(*sources: SourceView, **changes: Any) -> Surroundings:
    made = snapshot(
        sources,
        keys={"hbk_right": key(), "hbk_read": key(permissions=(Permission.SOURCES_READ,), name="r")},
        urls={TOKEN: (sources[0].id, "url-1"), "t0ken-of-another": ("src-acme-other", "url-2")},
    )
    return replace(Surroundings(made, PUBLIC, 1 << 20, NoKeys(), NOW), **changes)


def given(request: SignedRequest, **changes: Any) -> Given:
    return replace(Given(request.method, request.url, request.headers, bytes(request.body)), **changes)


def view(platform: str, *secrets: bytes, **changes: Any) -> SourceView:
    made = source(platform, secrets=secrets or (right(platform),))
    return replace(made, definition=made.definition.model_copy(update=changes))


@pytest.mark.parametrize("platform", ["github", "stripe", "slack", "twilio", "hubspot", "standardwebhooks"])
def test_the_right_request_is_valid_and_says_what_was_signed(platform: str) -> None:
    made = view(platform)
    body = b"" if platform == "twilio" else BODY
    found = judge(made, given(signed(platform, body)), around(made))
    assert (found.reason, found.authenticated, found.causes) == (None, True, ())
    assert found.proof is not None
    assert (found.proof.secret_id, found.scheme) == ("sec-0", VENDORS[platform].schemes[0].name)
    assert found.signed is not None
    assert found.signed.preview is not None
    assert TOKEN not in found.signed.preview
    assert right(platform).decode() not in found.signed.preview
    assert found.detail == "this request would be taken"


def test_an_invalid_request_has_the_doors_reason_and_the_cause() -> None:
    made = view("github")
    found = judge(made, given(signed("github"), body=BODY + b"\n"), around(made))
    assert (found.reason, found.authenticated, found.proof) == (Reason.SIGNATURE_MISMATCH, False, None)
    assert [one.cause for one in found.causes] == [Cause.BODY_LINE_ENDS]
    assert "no secret of this source gives this signature" in found.detail
    assert found.signed is not None
    assert found.signed.size == len(BODY) + 1


@pytest.mark.parametrize(("at", "right_then"), [(None, False), (NOW + 10.0, True), (float(NOW + 301), False)])
def test_freshness_is_judged_by_the_time_that_was_given(at: float | None, *, right_then: bool) -> None:
    made = view("stripe")
    found = judge(made, given(signed("stripe"), at_s=at), around(made, now_s=NOW + 7200.0))
    assert found.authenticated is right_then
    if not right_then:
        assert found.reason is Reason.TIMESTAMP_STALE
        assert any("give `at`" in text for text in found.warnings) is (at is None)


def test_what_else_would_refuse_a_proved_request_is_said() -> None:
    request = given(signed("github"))
    for change, words in (({"enabled": False}, "disabled"),):
        found = judge(view("github", **change), request, around(view("github")))
        assert (found.authenticated, found.reason) == (True, Reason.NOT_FOUND)
        assert words in found.detail
    closed = replace(view("github"), open=False)
    assert judge(closed, request, around(closed)).reason is Reason.NOT_FOUND
    made = view("github", paused=True)
    assert judge(made, request, around(made)).warnings == (
        "the source is paused: what is taken is kept and not processed",
    )
    small = judge(made, request, around(made, body_limit=10))
    assert (small.authenticated, small.reason) == (True, Reason.BODY_TOO_LARGE)


def test_a_path_alone_is_taken_at_the_public_address() -> None:
    made = view("square")
    request = signed("square")
    path = request.url.removeprefix(PUBLIC)
    assert judge(made, given(request, url=path), around(made)).authenticated


def test_an_address_that_is_not_the_public_one_is_warned_of() -> None:
    made = view("square")
    request = signed("square", url="https://elsewhere.example.org/hook")
    found = judge(made, given(request), around(made))
    assert found.authenticated
    assert any("judged for the address given" in text for text in found.warnings)
    assert judge(made, given(signed("square", url=f"{PUBLIC}:443/x")), around(made)).warnings == ()
    missing = judge(made, given(request, url=""), around(made))
    assert not missing.authenticated
    assert any("give url" in text for text in missing.warnings)


@pytest.mark.parametrize(
    ("url", "right_url"),
    [
        (f"{PUBLIC}/in/{TOKEN}", True),
        (f"/in/{TOKEN}?x=1", True),
        (f"{PUBLIC}/in/t0ken-of-another", False),
        (f"{PUBLIC}/in/revoked", False),
        (f"{PUBLIC}/api/v1/webhooks/shop", False),
        ("", False),
        ("https://[", False),
    ],
)
def test_a_secret_url_is_the_proof_of_auth_url(url: str, *, right_url: bool) -> None:
    made = source("shop", auth="url", secrets=())
    found = judge(made, Given("POST", url, (), b"{}"), around(made))
    assert found.authenticated is right_url
    if not right_url:
        assert (found.reason, found.causes[0].cause) == (Reason.UNAUTHENTICATED, Cause.CREDENTIAL)
        assert "secret URL" in found.causes[0].detail


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        ("Bearer hbk_right", None),
        ("Bearer hbk_read", Reason.FORBIDDEN),
        ("Bearer hbk_gone", Reason.UNAUTHENTICATED),
        ("hbk_right", Reason.UNAUTHENTICATED),
        ("", Reason.UNAUTHENTICATED),
    ],
)
def test_an_api_key_is_the_proof_of_auth_none(authorization: str, reason: Reason | None) -> None:
    made = source("shop", auth="none", secrets=())
    found = judge(made, Given("POST", "/x", (("Authorization", authorization),), b"{}"), around(made))
    assert found.reason is reason
    assert (found.causes == ()) is (reason is None)


AUTHS = {
    "hmac": HmacAuth(type="hmac", header="X-Sign"),
    "bearer": BearerAuth(type="bearer"),
    "basic": BasicAuth(type="basic", username="me"),
    "apiKey": ApiKeyAuth(type="apiKey", header="X-Shop-Key"),
}


@pytest.mark.parametrize("kind", AUTHS)
def test_auth_that_a_user_says_himself_is_explained_too(kind: str) -> None:
    auth = AUTHS[kind]
    made = source("shop", auth="none", secrets=(b"typed-secret",))
    made = replace(made, definition=made.definition.model_copy(update={"auth": auth}))
    request = SignedRequest("POST", "/x", (), BODY)
    headers = sign(auth.scheme, request, [auth.key_of(b"typed-secret")], NOW)
    right_one = structs.replace(request, headers=headers)
    assert judge(made, given(right_one), around(made)).authenticated
    spaced = replace(made, secrets=(replace(made.secrets[0], value=b"typed-secret\n"),))
    found = judge(spaced, given(right_one), around(made))
    assert not found.authenticated
    if kind != "basic":
        assert found.causes[0].cause is Cause.SECRET_WHITESPACE
    moved = structs.replace(right_one, headers=tuple((f"HTTP_{n.upper().replace('-', '_')}", v) for n, v in headers))
    assert judge(made, given(moved), around(made)).causes[0].cause is Cause.HEADER_NAME


def test_the_secrets_of_other_sources_of_the_tenant_are_tried_and_of_no_other_tenant() -> None:
    made = view("stripe", b"whsec_live")
    staging = source("stripe", name="staging", secrets=(b"whsec_staging",))
    foreign = source("stripe", tenant="other", name="theirs", secrets=(b"whsec_theirs",))
    world = around(made, staging, foreign)
    world = replace(world, others=others(made, world.snapshot, MAX_SECRETS))
    found = judge(made, given(signed("stripe", key=b"whsec_staging")), world)
    assert found.causes[0].cause is Cause.SECRET_OF_ANOTHER_SOURCE
    assert "source 'staging' (stripe)" in found.causes[0].detail
    theirs = judge(made, given(signed("stripe", key=b"whsec_theirs")), world)
    assert theirs.causes[0].cause is Cause.UNKNOWN


def test_other_sources_are_bounded_and_those_of_the_platform_come_first() -> None:
    made = view("stripe")
    many = [source("github", name=f"g{number:03}", secrets=(b"x%d" % number,)) for number in range(100)]
    same = source("stripe", name="zz-staging", secrets=(b"whsec_staging",))
    found = others(made, snapshot([made, *many, same]), MAX_SECRETS)
    assert len(found) == MAX_SECRETS
    assert found[0].whose == "source 'zz-staging' (stripe)"
    old = [Secret(b"old", "removed", Cause.SECRET_REMOVED)]
    together = known(4, old, found, MAX_SECRETS)
    assert (len(together), together[0].whose) == (MAX_SECRETS - 4, "removed")


def test_a_delivery_at_the_wrong_url_is_warned_of() -> None:
    made = view("github")
    found = judge(made, given(signed("github", url=f"{PUBLIC}/api/v1/webhooks/gitlab")), around(made))
    assert found.warnings == ("the URL is that of platform 'gitlab', this source is of 'github'",)
    found = judge(made, given(signed("github", url=f"{PUBLIC}/in/t0ken-of-another")), around(made))
    assert "no secret URL of this source" in found.warnings[0]
