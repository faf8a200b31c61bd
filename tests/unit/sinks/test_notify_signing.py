"""Signatures of outbound messages, as receivers check them: with libraries, by hand, and with our own ingress."""

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks

from schemas.vendors import VENDORS
from sinks.notify import signing
from sinks.notify.formats import render
from sinks.notify.outgoing import Outgoing
from tests.fakes.edge import Edge
from tests.fakes.registry import snapshot, source
from tests.unit.sinks.outgoing_events import OLDER, SECRET, event, webhook

FORMATS = ("Generic", "Custom", "Slack", "MSTeams", "GoogleChat")
README = Path(signing.__file__).parent / "formats" / "README.md"
PLAIN = b"correct horse battery staple"


def sent(
    kind: str = "Generic", secrets: Sequence[bytes] = (SECRET,), *, batch: int = 1, now_s: float | None = None
) -> Outgoing:
    at = round(time.time() if now_s is None else now_s)
    made = webhook(kind, batch, secrets)
    return render(made, [event()] * batch, message_id="dlv_01", now_s=at, endpoint="https://hooks.example.com/in")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("library", [standardwebhooks.Webhook, svix.webhooks.Webhook])
def test_the_libraries_take_what_is_sent_and_nothing_that_was_changed(kind: str, library: type) -> None:
    out = sent(kind)
    headers, judge = dict(out.headers), library(SECRET.decode())
    judge.verify(out.body, headers)
    signature = headers["webhook-signature"]  # its last letter has bits that stand for nothing: the first is changed
    for name, value in {
        "webhook-id": "dlv_02",
        "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 1),
        "webhook-signature": f"v1,{'B' if signature[3] == 'A' else 'A'}{signature[4:]}",
    }.items():
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            judge.verify(out.body, headers | {name: value})
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        judge.verify(out.body.replace(b"stopped", b"started"), headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        library(OLDER.decode()).verify(out.body, headers)


@pytest.mark.parametrize("library", [standardwebhooks.Webhook, svix.webhooks.Webhook])
def test_both_secrets_are_taken_while_they_rotate(library: type) -> None:
    out = sent(secrets=(SECRET, OLDER))
    for secret in (SECRET, OLDER):
        library(secret.decode()).verify(out.body, dict(out.headers))
    assert dict(out.headers)["webhook-signature"].count("v1,") == 2


def test_a_secret_that_is_plain_text_is_its_own_key() -> None:
    out = sent(secrets=(PLAIN,))
    standardwebhooks.Webhook(PLAIN).verify(out.body, dict(out.headers))
    svix.webhooks.Webhook(PLAIN).verify(out.body, dict(out.headers))


@pytest.mark.parametrize("secret", [b"whsec_", b"whsec_!!!", b"whsec_a"])
def test_a_secret_that_only_looks_encoded_is_its_own_key(secret: bytes) -> None:
    out = sent(secrets=(secret,))
    standardwebhooks.Webhook(secret).verify(out.body, dict(out.headers))


@pytest.mark.parametrize("secret", [SECRET, PLAIN])
@pytest.mark.parametrize("batch", [1, 3])
def test_an_openmetadata_receiver_takes_both_forms(secret: bytes, batch: int) -> None:
    """As its own code does: HMAC-SHA256 of the body by the secret key's text, newest secret alone."""
    out = sent(secrets=(secret, OLDER), batch=batch)
    digest = hmac.new(secret, out.body, hashlib.sha256).digest()
    headers = dict(out.headers)
    assert headers["X-OpenMetadata-Signature"] == f"sha256={digest.hex()}"
    assert headers["X-OM-Signature"] == f"sha256={base64.b64encode(digest).decode()}"


def told() -> dict[str, Any]:
    """Return the functions of the README of formats, as a receiver would copy them."""
    found: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL):
        exec(block, found)
    return found


def test_a_receiver_can_copy_its_checks_from_the_readme() -> None:
    out, page = sent(), told()
    headers, secret, forged = dict(out.headers), SECRET.decode(), out.body.replace(b"stopped", b"started")
    assert page["checked"](out.body, headers, secret)["eventId"] == "ev-1"
    assert page["proved"](out.body, headers, secret)
    assert page["objects"](out.body, secret) == [True]
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        page["checked"](forged, headers, secret)
    assert not page["proved"](forged, headers, secret)
    assert not page["proved"](out.body, {}, secret)


@pytest.mark.parametrize("batch", [1, 3])
def test_each_object_is_signed_by_itself(batch: int) -> None:
    out, check = sent(batch=batch), told()["objects"]
    assert check(out.body, SECRET.decode()) == [True] * batch
    assert check(out.body, OLDER.decode()) == [False] * batch
    assert check(out.body.replace(b"stopped", b"started", 1), SECRET.decode()) == [False, *[True] * (batch - 1)]
    assert check(out.body.replace(b'"ops"', b'"dev"', 1), SECRET.decode())[0] is False


def test_without_a_secret_nothing_is_signed() -> None:
    out = sent(secrets=())
    assert b'"signature"' not in out.body
    assert [name for name, _ in out.headers] == ["Content-Type", "User-Agent", "webhook-id", "webhook-timestamp"]


def test_a_retry_has_the_same_id_and_body_and_a_time_of_its_own() -> None:
    first, second = sent(now_s=1_000), sent(now_s=1_060)
    assert first.body == second.body
    one, two = dict(first.headers), dict(second.headers)
    assert one["webhook-id"] == two["webhook-id"] == "dlv_01"
    assert (one["webhook-timestamp"], two["webhook-timestamp"]) == ("1000", "1060")
    assert one["webhook-signature"] != two["webhook-signature"]
    assert sent(now_s=1_000) == first


def test_what_the_log_keeps_proves_nothing() -> None:
    made = webhook(batch=2, headers={"Authorization": "Bearer hidden", "X-Team": "ops"})
    out = render(made, [event()] * 2, message_id="dlv_01", now_s=1, endpoint="https://hooks.example.com/in")
    kept = signing.hidden(out.body)
    proofs = [value for name, value in out.headers if "ignature" in name]
    assert len(proofs) == 3
    for secret in ("hidden", *proofs, *(part for proof in proofs for part in proof.split(",") if len(part) > 8)):
        assert secret not in str(out.shown)
        assert secret.encode() not in kept
    assert [name for name, _ in out.shown] == [name for name, _ in out.headers]
    assert [each["signature"] for each in json.loads(kept)] == ["*********"] * 2
    assert SECRET.decode() not in repr(out)
    assert "hidden" not in repr(out)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("platform", ["openmetadata", "standardwebhooks"])
async def test_our_own_ingress_takes_what_we_send(kind: str, platform: str) -> None:
    """Hookberg to Hookberg: the vendors `openmetadata` and `standardwebhooks`, with the secret that signs."""
    edge = Edge(snapshot([source(platform, secrets=(SECRET,))]))
    at = edge.clock.time_ns() // 1_000_000_000
    for batch in (1, 3):
        out = sent(kind, (SECRET, OLDER), batch=batch, now_s=at)
        path, headers = f"/api/v1/webhooks/{platform}", {"X-Tenant-Id": "acme", **dict(out.headers)}
        changed = await edge.post(path, out.body.replace(b"stopped", b"started", 1), headers)
        assert changed.status == 401
        reply = await edge.post(path, out.body, headers)
        assert (reply.status, reply.outcome) == (200, "accepted")
        assert edge.publisher.records[-1].value == out.body
        assert edge.publisher.records[-1].meta.auth.secret_id == "sec-0"
    assert len(edge.publisher.records) == 2


def test_our_own_ingress_knows_our_events_by_their_ids() -> None:
    vendor = VENDORS["openmetadata"]
    facts = vendor.facts(json.loads(sent().body), {})
    assert (facts.vendor_event_id, facts.event_type) == ("ev-1", "entityUpdated")


def test_the_scheme_of_openmetadata_is_the_one_that_our_ingress_reads() -> None:
    read = VENDORS["openmetadata"].auth
    assert read is not None
    assert read == signing._BASE64
