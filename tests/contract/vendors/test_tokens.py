"""Every case of every issuer, judged by the code that judges at the edge, from a source's auth as REST takes it."""

import json

import pytest

from ingress.authenticate import authenticate, remedy
from ingress.target import Target
from schemas.definitions.auth_any import KINDS
from schemas.definitions.auth_jwt import TokenPreset
from schemas.signing import Invalid, SignedRequest, jwk
from schemas.signing.jwk import TokenKey
from schemas.vendors import VENDORS, adapter
from schemas.wire.raw import AuthResult
from tests.contract.vendors.token_cases import Case, of
from tests.contract.vendors.tokens import ISSUERS, JWKS_URL, NOW, TEAMS, Issuer
from tests.fakes.edge import Edge
from tests.fakes.registry import snapshot, source

PATH = "/in/t0ken"


class Held:
    """Implements KeySource: one set, whoever asks."""

    def __init__(self, keys: tuple[TokenKey, ...] | None) -> None:
        self._keys = keys

    def keys(self, url: str) -> tuple[TokenKey, ...] | None:  # noqa: ARG002 the protocol's
        return self._keys


def verdict_on(case: Case) -> AuthResult | Invalid:
    view = source(case.issuer.platform, auth=case.auth, secrets=case.secrets)
    target = Target(view, adapter(case.issuer.platform), PATH)
    keys = None if case.keys is None else jwk.from_set(json.loads(json.dumps({"keys": case.keys})))
    request = SignedRequest("POST", "https://hooks.example.com" + PATH, case.headers, case.body)
    verdict = authenticate(target, request, case.now, Held(keys))
    if isinstance(verdict, Invalid):
        assert len(remedy(target, verdict.reason)) > 20
    return verdict


@pytest.mark.parametrize("issuer", ISSUERS, ids=lambda issuer: issuer.name)
def test_judges_tokens(issuer: Issuer) -> None:
    wrong = []
    for case in of(issuer):
        verdict = verdict_on(case)
        if isinstance(verdict, Invalid):
            right = case.expect in {None, verdict.reason}
        else:
            scheme = "teams" if issuer.platform == "teams" else "jwt"
            right = (verdict.scheme, verdict.coverage) == (scheme, issuer.coverage)
            right = right and case.expect is not None and (verdict.secret_id or "").startswith(case.expect)
        if not right:
            wrong.append((case.name, case.expect, verdict))
    assert wrong == []


@pytest.mark.parametrize("issuer", ISSUERS, ids=lambda issuer: issuer.name)
def test_every_issuer_has_cases_of_both_kinds(issuer: Issuer) -> None:
    cases = list(of(issuer))
    assert len({case.name for case in cases}) == len(cases)
    accepted = [case for case in cases if not isinstance(verdict_on(case), Invalid)]
    assert len(accepted) >= 8
    assert len(cases) - len(accepted) >= 60


def test_presets_by_token_are_the_vendors_with_a_rule() -> None:
    named = {name for name, kind in KINDS.items() if kind is TokenPreset}
    assert named == {vendor.name for vendor in VENDORS.values() if vendor.jwt is not None}
    assert named <= {issuer.platform for issuer in ISSUERS}


def test_pinned_keys_are_judged_as_fetched_ones() -> None:
    issuer = next(one for one in ISSUERS if one.name == "jwt-es256")
    for keys in ([issuer.jwk()], [issuer.jwk("two"), issuer.jwk()]):
        auth = issuer.auth(keys=keys)
        del auth["jwksUrl"]
        view = source("shop", auth=auth)
        target = Target(view, adapter("shop"), PATH)
        request = SignedRequest("POST", "/", (("Authorization", f"Bearer {issuer.make()}"),), b"{}")
        assert authenticate(target, request, NOW) == AuthResult("jwt", "none", "kid-one")


async def test_a_bots_activity_is_kept_with_what_proved_it() -> None:
    view = source("teams", auth=TEAMS.auth())
    edge = Edge(snapshot([view], urls={"t0ken": (view.id, "url-1")}))
    edge.clock.advance(NOW - edge.clock.time_ns() // 1_000_000_000)
    metadata = "https://login.botframework.com/v1/.well-known/openidconfiguration"
    edge.egress.answers = {
        metadata: json.dumps({"issuer": TEAMS.issuer, "jwks_uri": JWKS_URL}).encode(),
        JWKS_URL: json.dumps({"keys": [TEAMS.jwk("one"), TEAMS.jwk("two")]}).encode(),
    }
    body = json.dumps(
        {
            "type": "message",
            "id": "170",
            "timestamp": "2025-06-15T15:06:40.000Z",
            "channelId": "msteams",
            "serviceUrl": "https://smba.example/",
            "conversation": {"id": "19:x"},
        }
    ).encode()
    reply = await edge.post(PATH, body, {"Authorization": f"Bearer {TEAMS.make(key='two')}"})
    assert (reply.status, reply.outcome) == (200, "accepted")
    [kept] = edge.publisher.records
    assert kept.meta.auth == AuthResult("teams", "none", "kid-two")
    assert kept.meta.event_id == "19:x 170 message 2025-06-15T15:06:40.000Z"
    assert "eyJ" not in str(kept.headers)
    assert edge.egress.calls == {metadata: 1, JWKS_URL: 1}
