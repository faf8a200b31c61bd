"""Two workloads, seeded: orders (14 leaves, about 0.3 KB) and charges (78 leaves, about 2.2 KB).

Lives here: payloads, and the clean event around one. A charge has the members of a Stripe `charge.succeeded` event
(https://docs.stripe.com/api/charges/object) with made-up values.
"""

import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from schemas.wire import event
from schemas.wire.position import Position

SEED = 7
BEGIN = datetime(2026, 3, 18, 10, 0, 0, 123_000, UTC)
RAW_TOPIC_ID = "cGVlcnMtcmF3LXRvcGljLQ"
_CURRENCIES = ("EUR", "USD", "GBP", "CHF", "JPY")
_COUNTRIES = ("DE", "US", "GB", "CH", "JP", "FR", "NL")


@dataclass(frozen=True, slots=True)
class Workload:
    """A kind of payload: how the n-th is made, the id that makes each distinct, and the event type."""

    name: str
    make: Callable[[random.Random, int], dict[str, Any]]
    event_type: Callable[[dict[str, Any]], str]

    def records(self, tenant: str, count: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield each payload, bare and as the value of a clean event of `tenant`."""
        rng = random.Random(SEED)
        for n in range(count):
            made = self.make(rng, n)
            payload = orjson.dumps(made)
            yield payload, _clean(rng, tenant, self, made, n, payload)


def _clean(rng: random.Random, tenant: str, workload: Workload, made: dict[str, Any], n: int, payload: bytes) -> bytes:
    at = _iso(n)
    return event.encode(
        event.Event(
            event_id=str(uuid.UUID(int=rng.getrandbits(128), version=5)),
            tenant_id=tenant,
            platform=workload.name,
            event_type=workload.event_type(made),
            event_time=at,
            event_time_source="payload",
            received_at=at,
            source=workload.name,
            source_kind=f"webhook.{workload.name}",
            source_identifier=made["id"],
            vendor_event_id=made["id"],
            correlation_id=None,
            delivery_id=str(uuid.UUID(int=((_ms(n) << 80) | rng.getrandbits(80)), version=4)),
            schema=None,
            auth_coverage="full",
            position=Position(RAW_TOPIC_ID, n % 4, n // 4, 0),
            envelope=None,
            payload=payload,
        )
    )


def _hex(rng: random.Random, digits: int) -> str:
    return f"{rng.getrandbits(4 * digits):0{digits}x}"


def _ms(n: int) -> int:
    return int(BEGIN.timestamp() * 1000) + n // 40


def _iso(n: int) -> str:
    return (BEGIN + timedelta(milliseconds=n // 40)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _order(rng: random.Random, n: int) -> dict[str, Any]:
    return {
        "id": f"evt_{n:012d}_{_hex(rng, 8)}",
        "type": rng.choice(("order.created", "order.paid", "order.shipped")),
        "created_at": _iso(n),
        "ts": _ms(n),
        "customer": {
            "id": "cus_" + _hex(rng, 16),
            "email": f"user{rng.randrange(10**6)}@example.com",
            "country": rng.choice(_COUNTRIES),
        },
        "amount": rng.randrange(100, 99_999) / 100,
        "currency": rng.choice(_CURRENCIES),
        "status": rng.choice(("open", "paid", "void")),
        "items": rng.randrange(1, 9),
        "note": "n-" + _hex(rng, 80),
        "source": rng.choice(("web", "app", "api")),
        "gift": n % 7 == 0,
    }


def _charge(rng: random.Random, n: int) -> dict[str, Any]:
    return {
        "id": f"evt_{n:012d}_{_hex(rng, 8)}",
        "object": "event",
        "api_version": "2026-06-30",
        "created": _ms(n) // 1000,
        "ts": _ms(n),
        "livemode": True,
        "pending_webhooks": 1,
        "type": "charge.succeeded",
        "request": {"id": "req_" + _hex(rng, 14), "idempotency_key": _hex(rng, 32)},
        "data": {"object": _charge_object(rng, n)},
    }


def _charge_object(rng: random.Random, n: int) -> dict[str, Any]:
    amount = rng.randrange(100, 99_999)
    return {
        "id": "ch_" + _hex(rng, 24),
        "object": "charge",
        "amount": amount,
        "amount_captured": amount,
        "amount_refunded": 0,
        "application": "ca_" + _hex(rng, 12),
        "application_fee_amount": amount // 50,
        "balance_transaction": "txn_" + _hex(rng, 24),
        "billing_details": _billing(rng),
        "calculated_statement_descriptor": "EXAMPLE SHOP",
        "captured": True,
        "created": _ms(n) // 1000,
        "currency": rng.choice(_CURRENCIES).lower(),
        "customer": "cus_" + _hex(rng, 14),
        "description": "Charge for order " + _hex(rng, 12),
        "disputed": False,
        "failure_code": None if n % 5 else "card_declined",
        "failure_message": None if n % 5 else "declined by issuer",
        "fraud_details": {"stripe_report": "none", "user_report": "none"},
        "invoice": "in_" + _hex(rng, 24),
        "livemode": True,
        "metadata": {"order_id": str(rng.randrange(10**8)), "cart": _hex(rng, 16), "campaign": rng.choice("abc")},
        "on_behalf_of": "acct_" + _hex(rng, 16),
        "outcome": {
            "network_status": "approved_by_network",
            "reason": "ok",
            "risk_level": "normal",
            "risk_score": rng.randrange(99),
            "seller_message": "Payment complete.",
            "type": "authorized",
        },
        "paid": True,
        "payment_intent": "pi_" + _hex(rng, 24),
        "payment_method": "pm_" + _hex(rng, 24),
        "payment_method_details": {"type": "card", "card": _card(rng, amount)},
        "receipt_email": f"u{rng.randrange(10**6)}@example.com",
        "receipt_number": f"{rng.randrange(9999)}-{rng.randrange(9999)}",
        "receipt_url": "https://pay.example.com/receipts/payment/" + _hex(rng, 16),
        "refunded": False,
        "statement_descriptor": "EXAMPLE",
        "status": "succeeded",
        "transfer_group": "grp_" + _hex(rng, 10),
    }


def _billing(rng: random.Random) -> dict[str, Any]:
    return {
        "address": {
            "city": "Berlin",
            "country": rng.choice(_COUNTRIES),
            "line1": f"Street {rng.randrange(999)}",
            "line2": "c/o " + _hex(rng, 6),
            "postal_code": str(rng.randrange(10_000, 99_999)),
            "state": "BE",
        },
        "email": f"u{rng.randrange(10**6)}@example.com",
        "name": "Jenny " + _hex(rng, 6),
        "phone": "+49" + str(rng.randrange(10**9)),
    }


def _card(rng: random.Random, amount: int) -> dict[str, Any]:
    return {
        "brand": "visa",
        "amount_authorized": amount,
        "country": rng.choice(_COUNTRIES),
        "exp_month": rng.randrange(1, 13),
        "exp_year": 2030,
        "checks": {"address_line1_check": "pass", "address_postal_code_check": "pass", "cvc_check": "pass"},
        "extended_authorization": {"status": "disabled"},
        "fingerprint": _hex(rng, 16),
        "funding": "credit",
        "incremental_authorization": {"status": "unavailable"},
        "last4": str(rng.randrange(1000, 9999)),
        "network": "visa",
        "network_token": {"used": False},
        "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
    }


ORDERS = Workload("orders", _order, lambda made: str(made["type"]))
CHARGES = Workload("charges", _charge, lambda made: str(made["type"]))
WORKLOADS = {one.name: one for one in (ORDERS, CHARGES)}
