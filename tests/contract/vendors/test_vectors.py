"""Every vector we have, judged by the code that judges at the edge: published ones, fixed ones, and our own cases.

The published ones are read where their file is at hand (HOOKBERG_TEST_VECTORS). The fixed ones were computed once with
the standard library's hmac; our own are made anew by senders that share no code with schemas/signing.
"""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from schemas.definitions.auth_jwt import TokenPreset
from schemas.reasons import Reason
from schemas.signing import Invalid, SignedRequest, Valid, jwk, verify_any
from schemas.signing.jwt import verify
from schemas.vendors import VENDORS
from tests.contract.vendors.cases import Case, of
from tests.contract.vendors.roster import SENDERS
from tests.contract.vendors.senders import Sender

HERE = Path(__file__).parent
PUBLISHED = Path(os.environ.get("HOOKBERG_TEST_VECTORS", HERE.parents[3] / "shared/vectors/signature_vectors.json"))
FIXED: list[dict[str, Any]] = json.loads((HERE / "fixed_vectors.json").read_text("utf-8"))
BY_VENDOR = {"standard_webhooks": "standardwebhooks", "graph": "msgraph"}
BY_SCHEME = {"adyen_header_body": "adyen-platform", "teams_outgoing_hmac": "teams-outgoing"}
BY_TOKEN = "teams_botframework_jwt"
"""The scheme whose vendor proves itself by a token; what its library says is not listed here."""
DEVIATIONS = {
    "slack-nonnumeric-timestamp": "slack_sdk raises ValueError; ours says timestamp_missing",
    "slack-nonascii-signature": "slack_sdk raises TypeError; ours compares bytes",
    "stdwh-v1a-ed25519": "standardwebhooks 1.1.0 knows no v1a; the specification does",
    "stdwh-no-version": "standardwebhooks raises ValueError on a signature without a comma",
    "adyen-second-item-forged": "Adyen's library checks the first item only",
    "adyen-item-without-signature": "Adyen's library raises KeyError",
}
"""Where a vendor's own library says otherwise than we do, and why."""


def published() -> list[dict[str, Any]]:
    return json.loads(PUBLISHED.read_text("utf-8")) if PUBLISHED.is_file() else []


def verdict_on(case: Case) -> tuple[str | None, Valid | Reason]:
    request = SignedRequest(case.sent.method, case.sent.url, case.sent.headers, case.sent.body)
    secrets = [text.encode() for text in case.secrets]
    scheme, verdict = verify_any(VENDORS[case.sender.vendor].schemes, request, secrets, case.now)
    return (None, verdict.reason) if isinstance(verdict, Invalid) else (scheme.name, verdict)


@pytest.mark.parametrize("sender", SENDERS, ids=lambda sender: sender.name)
def test_judges_own_cases(sender: Sender) -> None:
    wrong = []
    for case in of(sender):
        scheme, verdict = verdict_on(case)
        if isinstance(case.expect, int):
            right = verdict == Valid(case.expect, sender.coverage) and scheme == sender.scheme  # type: ignore[arg-type]
        else:
            right = scheme is None and case.expect in {None, verdict}
        if not right:
            wrong.append((case.name, case.expect, verdict))
    assert wrong == []


@pytest.mark.parametrize("vector", FIXED, ids=lambda vector: vector["id"])
def test_judges_fixed_vectors(vector: dict[str, Any]) -> None:
    request = SignedRequest(
        "POST",
        "https://hooks.example.com/in/1",
        tuple((name, value) for name, value in vector["headers"]),
        base64.b64decode(vector["bodyBase64"]),
    )
    secrets = [text.encode() for text in vector["secrets"]]
    verdict = verify_any(VENDORS[vector["scheme"]].schemes, request, secrets, vector["now"])[1]
    assert verdict == (Valid(vector["secret"]) if vector["expect"] == "valid" else Invalid(vector["expect"]))


@pytest.mark.skipif(not PUBLISHED.is_file(), reason="no published vectors: name their file in HOOKBERG_TEST_VECTORS")
@pytest.mark.parametrize("vector", published(), ids=lambda vector: vector["id"])
def test_judges_published_vectors(vector: dict[str, Any]) -> None:
    name = BY_SCHEME.get(vector["scheme"], BY_VENDOR.get(vector["vendor"], vector["vendor"]))
    request = SignedRequest(
        vector["method"],
        vector.get("url", ""),
        tuple(vector["headers"].items()),
        base64.b64decode(vector["body_base64"]),
    )
    if vector["scheme"] == BY_TOKEN:
        said = json.loads(vector["secret"])
        rule = TokenPreset(type="teams", audience=(said["audience"],)).rule()
        assert rule.issuer == said["issuer"]
        verdict = verify(rule, jwk.from_set(said["jwks"]), request, vector["now_epoch"])
    else:
        secrets = [text.encode() for text in (vector["secret"], *vector.get("extra_secrets", ()))]
        verdict = verify_any(VENDORS[name].schemes, request, secrets, vector["now_epoch"])[1]
    assert isinstance(verdict, Valid if vector["expect"] == "valid" else Invalid), vector["reason"]


@pytest.mark.skipif(not PUBLISHED.is_file(), reason="no published vectors: name their file in HOOKBERG_TEST_VECTORS")
def test_every_deviation_of_a_vendors_library_is_listed_with_its_reason() -> None:
    found = {
        vector["id"]
        for vector in published()
        if vector["check"].get("library_result", "agrees") != "agrees" and vector["scheme"] != BY_TOKEN
    }
    assert found == set(DEVIATIONS)
