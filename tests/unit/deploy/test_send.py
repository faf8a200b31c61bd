"""What `hookberg send` signs is what the edge takes."""

import pytest

from deploy.demo.post import signed_headers
from schemas.signing import SignedRequest, Valid, verify_any
from schemas.vendors import VENDORS

NOW = 1_750_000_000
URL = "http://127.0.0.1:8081/api/v1/webhooks/x?source=a"
SECRETS = {"standardwebhooks": "whsec_MDEyMzQ1Njc4OWFiY2RlZg", "svix": "whsec_MDEyMzQ1Njc4OWFiY2RlZg"}
NOT_THERE = {"adyen", "msgraph"}
"""Their proof stands in the body."""
SIGNS = [name for name, vendor in VENDORS.items() if vendor.schemes and name not in NOT_THERE | {"sendgrid", "discord"}]


@pytest.mark.parametrize("name", SIGNS)
def test_a_signed_request_is_taken(name: str) -> None:
    secret = SECRETS.get(name, "aabb00==" if name == "teams-outgoing" else "aabb00")
    body = b"" if name == "twilio" else b'{"webhookTimestamp":%d}' % (NOW * 1000)
    headers = signed_headers(name, secret, body, event="e", delivery="d-1", now_s=NOW, url=URL)
    request = SignedRequest("POST", URL, tuple(headers.items()), body)
    assert isinstance(verify_any(VENDORS[name].schemes, request, [secret.encode()], NOW)[1], Valid)


@pytest.mark.parametrize("name", ["adyen", "msgraph", "sendgrid"])
def test_what_cannot_be_signed_here_says_so(name: str) -> None:
    with pytest.raises(ValueError, match="cannot sign"):
        signed_headers(name, "aabb", b"{}", event="e", delivery="d-1", now_s=NOW, url=URL)


def test_a_generic_sender_names_its_delivery() -> None:
    assert signed_headers("shop", "s", b"{}", event="e", delivery="d-1", now_s=NOW)["X-Webhook-Id"] == "d-1"
