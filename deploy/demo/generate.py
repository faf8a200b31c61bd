"""Events as GitHub and Stripe shape them, made up from a seed: our own payloads, no one's real data.

Lives here: payloads and which of them repeat, break their schema or are tampered with. Not here: signing and posting.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

EXPECT_ROW, EXPECT_DUPLICATE, EXPECT_QUARANTINE, EXPECT_REFUSED, EXPECT_CONTROL = (
    "row",
    "duplicate",
    "quarantined",
    "refused",
    "control",
)
_PEOPLE = ("ada", "grace", "linus", "margaret", "barbara", "ken", "radia", "edsger")
_REPOS = ("acme/shop", "acme/ledger", "acme/iceberg-notes", "acme/web")
_WORDS = ("fix", "rename", "speed up", "document", "test", "remove", "refactor")
_THINGS = ("checkout", "retry loop", "offset commit", "price rounding", "login page", "manifest list")

CHARGE_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["id", "type", "created", "data"],
    "properties": {
        "id": {"type": "string", "pattern": "^evt_"},
        "created": {"type": "integer"},
        "data": {
            "type": "object",
            "required": ["object"],
            "properties": {
                "object": {
                    "type": "object",
                    "required": ["amount", "currency"],
                    "properties": {
                        "amount": {"type": "integer", "minimum": 0},
                        "currency": {"type": "string", "pattern": "^[a-z]{3}$"},
                    },
                }
            },
        },
    },
}
"""What the demo's Stripe source pins for `charge.*`: amounts are whole cents, currencies three letters."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request to make: `expect` says what should become of it; `tampered` bodies are changed after signing."""

    platform: str
    event: str
    delivery_id: str
    body: bytes
    expect: str
    tampered: bool = False


def deliveries(random: Random, count: int, now_s: int) -> list[Delivery]:
    """Return about `count` deliveries in random order: 80 % new, the rest repeated, invalid, tampered or control."""
    made = [_one(random, now_s) for _ in range(count)]
    again = random.sample([one for one in made if one.expect == EXPECT_ROW], count // 10)
    made += [replace(one, expect=EXPECT_DUPLICATE) for one in again]
    random.shuffle(made)
    return made


def _one(random: Random, now_s: int) -> Delivery:
    dice = random.random()
    delivery = _uuid(random)
    if dice < 0.02:
        body = {"zen": "Keep it logically awesome.", "hook_id": random.randrange(10**8), "hook": {"type": "Repository"}}
        return Delivery("github", "ping", delivery, _dump(body), EXPECT_CONTROL)
    if dice < 0.07:
        charge = _stripe(random, now_s, "charge.succeeded", {"amount": "12,50", "currency": "EUR"})
        return Delivery("stripe", "charge.succeeded", delivery, _dump(charge), EXPECT_QUARANTINE)
    event, body = random.choice(_MAKERS)(random, now_s)
    platform = "stripe" if body.get("object") == "event" else "github"
    if dice < 0.11:
        return Delivery(platform, event, delivery, _dump(body), EXPECT_REFUSED, tampered=True)
    return Delivery(platform, event, delivery, _dump(body), EXPECT_ROW)


def _push(random: Random, _now_s: int) -> tuple[str, dict[str, Any]]:
    author = random.choice(_PEOPLE)
    commits = [
        {
            "id": f"{random.getrandbits(160):040x}",
            "message": f"{random.choice(_WORDS)} the {random.choice(_THINGS)}",
            "author": {"name": author, "email": f"{author}@example.org", "username": author},
            "added": [],
            "modified": [f"src/{random.choice(_PEOPLE)}.py"],
            "distinct": True,
        }
        for _ in range(random.randint(1, 4))
    ]
    return "push", {
        "ref": "refs/heads/main",
        "before": f"{random.getrandbits(160):040x}",
        "after": commits[-1]["id"],
        "forced": False,
        "commits": commits,
        "repository": _repository(random),
        "pusher": {"name": author, "email": f"{author}@example.org"},
        "sender": _user(random),
    }


def _pull_request(random: Random, _now_s: int) -> tuple[str, dict[str, Any]]:
    number = random.randint(1, 4000)
    return "pull_request", {
        "action": random.choice(("opened", "closed", "synchronize")),
        "number": number,
        "pull_request": {
            "id": random.randrange(10**9),
            "number": number,
            "title": f"{random.choice(_WORDS)} the {random.choice(_THINGS)}",
            "draft": random.random() < 0.2,
            "additions": random.randint(0, 900),
            "deletions": random.randint(0, 400),
            "user": _user(random),
            "merged_at": None,
        },
        "repository": _repository(random),
        "sender": _user(random),
    }


def _issue(random: Random, _now_s: int) -> tuple[str, dict[str, Any]]:
    return "issues", {
        "action": random.choice(("opened", "closed", "labeled")),
        "issue": {
            "number": random.randint(1, 4000),
            "title": f"The {random.choice(_THINGS)} is slow",
            "labels": [{"name": name} for name in random.sample(("bug", "help", "perf"), random.randint(0, 2))],
            "user": _user(random),
        },
        "repository": _repository(random),
        "sender": _user(random),
    }


def _charge(random: Random, now_s: int) -> tuple[str, dict[str, Any]]:
    kind = random.choice(("charge.succeeded", "charge.refunded"))
    return kind, _stripe(
        random,
        now_s,
        kind,
        {
            "id": f"ch_{random.getrandbits(80):020x}",
            "object": "charge",
            "amount": random.randint(100, 90_000),
            "currency": random.choice(("eur", "usd", "gbp")),
            "paid": True,
            "billing_details": {"name": random.choice(_PEOPLE).title(), "address": {"country": "DE"}},
            "metadata": {"order": str(random.randrange(10**6))},
        },
    )


def _invoice(random: Random, now_s: int) -> tuple[str, dict[str, Any]]:
    total = random.randint(500, 50_000)
    return "invoice.paid", _stripe(
        random,
        now_s,
        "invoice.paid",
        {
            "id": f"in_{random.getrandbits(80):020x}",
            "object": "invoice",
            "total": total,
            "amount_paid": total,
            "currency": "eur",
            "lines": {"data": [{"amount": total, "description": "Seat"}], "has_more": False},
        },
    )


def _stripe(random: Random, now_s: int, kind: str, thing: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"evt_{random.getrandbits(96):024x}",
        "object": "event",
        "api_version": "2026-03-01",
        "created": now_s - random.randint(0, 3600),
        "data": {"object": thing},
        "livemode": False,
        "pending_webhooks": random.randint(0, 3),
        "request": {"id": f"req_{random.getrandbits(64):016x}", "idempotency_key": None},
        "type": kind,
    }


def _repository(random: Random) -> dict[str, Any]:
    name = random.choice(_REPOS)
    return {"id": sum(name.encode()), "full_name": name, "private": False, "stargazers_count": random.randint(1, 900)}


def _user(random: Random) -> dict[str, Any]:
    login = random.choice(_PEOPLE)
    return {"login": login, "id": sum(login.encode()), "type": "User", "site_admin": False}


def _uuid(random: Random) -> str:
    text = f"{random.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def _dump(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


_MAKERS: tuple[Callable[[Random, int], tuple[str, dict[str, Any]]], ...] = (
    _push,
    _pull_request,
    _issue,
    _charge,
    _invoice,
)
