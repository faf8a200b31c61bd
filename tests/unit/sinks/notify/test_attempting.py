"""One attempt: what goes out, and what the log keeps of it, which is nothing that calls or proves."""

from dataclasses import dataclass, field

import pytest

from schemas.backing.egress import Posted
from schemas.definitions.notification import Delivery, DeliveryKind, DeliveryState, Lane
from schemas.definitions.sending import Claim
from sinks.notify.engine.attempting import attempt
from tests.unit.sinks.outgoing_events import ALERT, SECRET, webhook

ENDPOINT = "https://hooks.slack.com/services/T000/B000/very-secret?key=hidden"
NOW_MS = 1_700_000_000_500


@dataclass
class Recorder:
    """Posts nowhere."""

    answer: Posted
    posted: list[tuple[str, tuple[tuple[str, str], ...], bytes, float, int]] = field(default_factory=list)

    async def post(
        self, url: str, *, headers: tuple[tuple[str, str], ...], body: bytes, timeout_s: float, limit_bytes: int
    ) -> Posted:
        self.posted.append((url, headers, body, timeout_s, limit_bytes))
        return self.answer


def claim() -> Claim:
    delivery = Delivery("dlv-1", "acme", Lane("wh-1"), DeliveryKind.EVENT, DeliveryState.PENDING, (1,), 2, 2, 0, 0, 0)
    return Claim(delivery, (ALERT,))


@pytest.mark.parametrize("kind", ["Generic", "Slack"])
async def test_the_log_keeps_nothing_that_calls_or_proves(kind: str) -> None:
    egress = Recorder(Posted(200, None, "", (("x", "y"), ("retry-after", "7")), b"ok" * 9000, duration_ms=12))
    made = webhook(kind, secrets=(SECRET,), headers={"Authorization": "Bearer hidden-too"}, timeout=7)
    kept, outcome = await attempt(egress, made, claim(), ENDPOINT, NOW_MS, "https://hookberg.example.com")  # type: ignore[arg-type]
    [(url, headers, body, timeout_s, limit)] = egress.posted
    sent = dict(headers)
    assert (url, timeout_s, sent["webhook-id"], sent["webhook-timestamp"]) == (ENDPOINT, 7.0, "dlv-1", "1700000000")
    assert sent["Authorization"] == "Bearer hidden-too"
    assert b"https://hookberg.example.com/api/v1/alerts/al-1" in body
    assert (kept.url, kept.number, kept.status, kept.duration_ms) == ("https://hooks.slack.com/services/…", 3, 200, 12)
    proofs = [sent[name] for name in ("webhook-signature", "X-OM-Signature", "X-OpenMetadata-Signature")]
    for secret in ("very-secret", "hidden", SECRET.decode(), *proofs):
        assert secret not in repr(kept)
    assert (b'"signature":"sha256=' in body) is (kind == "Generic")
    assert "sha256=" not in str(kept.request)
    assert len(kept.response["body"]) <= limit
    assert outcome.retry_after_s == 7
