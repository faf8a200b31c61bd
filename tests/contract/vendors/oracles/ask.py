"""The libraries asked: which judges which senders' cases, in a process of its own, beside our own verdict.

Lives here: the list of libraries, and of schemes that have none. Not here: how one is called (judges.py), where the two
may differ (deviations.py), where the packages come from (tests/fixtures.py).
"""

import base64
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from schemas.signing import SignedRequest, Valid, verify_any
from schemas.vendors import VENDORS
from tests.contract.vendors.cases import Case, of
from tests.contract.vendors.oracles import variants
from tests.contract.vendors.oracles.judges import ACCEPTS, REFUSES
from tests.contract.vendors.roster import SENDERS
from tests.fixtures import ORACLES, libraries

CHILD = Path(__file__).with_name("judges.py")
_TIMEOUT_S = 120


@dataclass(frozen=True)
class Oracle:
    """A library: its name in judges.py, its package, what is called, the senders whose cases it judges."""

    name: str
    package: str
    call: str
    senders: tuple[str, ...]


LIBRARIES = (
    Oracle("adyen", "adyen", "Adyen.util.is_valid_hmac_notification", ("adyen:adyen-batch",)),
    Oracle("adyen-platform", "adyen", "Adyen.util.is_valid_hmac_payload", ("adyen-platform:adyen-platform",)),
    Oracle("discord", "discord-interactions", "verify_key", ("discord:discord",)),
    Oracle("gidgethub-256", "gidgethub", "sansio.validate_event", ("github:github",)),
    Oracle(
        "gidgethub", "gidgethub", "sansio.validate_event",
        ("bitbucket:bitbucket", "intercom:intercom", "jira:jira"),
    ),
    Oracle(
        "hubspot", "hubspot-api-client", "Signature.is_valid",
        ("hubspot:hubspot", "hubspot:hubspot-v1", "hubspot:hubspot-v2"),
    ),
    Oracle("paddle", "paddle-python-sdk", "Verifier.verify", ("paddle:paddle",)),
    Oracle("pywa", "pywa", "utils.webhook_updates_validator", ("meta:meta", "whatsapp:meta")),
    Oracle("sendgrid", "sendgrid", "EventWebhook.verify_signature", ("sendgrid:sendgrid",)),
    Oracle("slack", "slack-sdk", "SignatureVerifier.is_valid_request", ("slack:slack",)),
    Oracle("square", "squareup", "webhooks_helper.verify_signature", ("square:square",)),
    Oracle(
        "standardwebhooks", "standardwebhooks", "Webhook.verify",
        ("gitlab:gitlab-signing", "standardwebhooks:standardwebhooks"),
    ),
    Oracle("stripe", "stripe", "WebhookSignature.verify_header", ("stripe:stripe",)),
    Oracle("svix", "svix", "Webhook.verify", ("svix:svix", "svix:svix-webhook")),
    Oracle("twilio", "twilio", "RequestValidator.validate", ("twilio:twilio",)),
)  # fmt: skip
WITHOUT = {
    "cloudevents:cloudevents-bearer": "a bearer token: compared, not computed",
    "cloudevents:cloudevents-query": "a token in the query: compared, not computed",
    "eventgrid:cloudevents-bearer": "a bearer token: compared, not computed",
    "eventgrid:cloudevents-query": "a token in the query: compared, not computed",
    "gitlab:gitlab": "a token: compared, not computed",
    "linear:linear": "the vendor has no Python library",
    "msgraph:msgraph-batch": "clientState: compared, not computed",
    "openmetadata:openmetadata": "its Python package fetches metadata and receives no webhooks",
    "pagerduty:pagerduty": "the package pagerduty has no verifier",
    "segment:segment": "its Python package sends events and receives none",
    "segment:segment-batch": "its Python package sends events and receives none",
    "shopify:shopify": "ShopifyAPI verifies log-in redirects, not webhooks",
    "standardwebhooks:standardwebhooks-v1a": "standardwebhooks knows v1 only",
    "svix:svix-v1a": "svix knows v1 only",
    "svix:svix-webhook-v1a": "svix knows v1 only",
    "teams-outgoing:teams-outgoing": "botbuilder verifies tokens, not outgoing webhooks",
    "zendesk:zendesk": "the vendor has no Python library",
}
"""Senders that no library judges, and why."""


def cases(oracle: Oracle) -> list[Case]:
    """Return what a library judges: every case and variant of its senders."""
    return [case for sender in SENDERS if sender.name in oracle.senders for case in (*of(sender), *variants.of(sender))]


def ours(case: Case) -> str:
    """Return our own verdict in the words of judges.py."""
    request = SignedRequest(case.sent.method, case.sent.url, case.sent.headers, case.sent.body)
    schemes = VENDORS[case.sender.vendor].schemes
    verdict = verify_any(schemes, request, [text.encode() for text in case.secrets], case.now)[1]
    return ACCEPTS if isinstance(verdict, Valid) else REFUSES


def theirs(oracle: Oracle, asked: list[Case]) -> list[str]:
    """Return a library's verdicts; raises FixtureError when it is not at hand, RuntimeError when it cannot be run."""
    folder = libraries(ORACLES)
    done = subprocess.run(
        [sys.executable, "-I", str(CHILD), str(folder)],
        input=json.dumps({"judge": oracle.name, "cases": [_plain(case) for case in asked]}),
        env={},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{oracle.package} could not be asked: {done.stderr.strip()[-2000:]}")
    said: list[str] = json.loads(done.stdout)
    return said


def _plain(case: Case) -> dict[str, object]:
    sent = case.sent
    return {
        "method": sent.method,
        "url": sent.url,
        "headers": sent.headers,
        "body": base64.b64encode(sent.body).decode(),
        "secrets": case.secrets,
        "now": case.now,
    }
