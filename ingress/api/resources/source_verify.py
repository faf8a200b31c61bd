"""`POST /sources/{id}/verify`: would this request be taken, and if not, why, in words that say what to do.

The tries are bounded in number, bytes and body size, run in a thread and at most HEAVY at a time (call.py).
"""

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from ingress import dry_run
from ingress.api.call import Answer, Call
from ingress.api.resources import shapes
from ingress.api.routes import Route
from ingress.diagnosis import MAX_SECRETS, Cause, Secret
from ingress.dry_run import DryRun, Given, Surroundings
from schemas.backing.registry import RemovedSecret
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission
from schemas.definitions.view import Snapshot, SourceView
from schemas.errors import Refused
from schemas.reasons import Reason

MAX_BODY = 2 << 20
"""Of the request that is verified: base64 of it and its headers fit a control-plane call."""
_MAX_HEADERS = 200
_NS = 1_000_000_000
_LATEST_S = 253_402_300_799
"""The last second of the year 9999: past it no date can be shown."""
Name = Annotated[str, Field(min_length=1, max_length=256)]
Value = Annotated[str, Field(max_length=16_384)]
_EXAMPLE = {
    "method": "POST",
    "url": "https://hooks.example.com/in/…",
    "headers": {"Content-Type": "application/json", "X-Hub-Signature-256": "sha256=…"},
    "bodyBase64": "eyJhY3Rpb24iOiJvcGVuZWQifQ==",
    "at": 1_750_000_000,
}


class VerifyRequest(Definition):
    """A request as it came: give the body's exact bytes as base64; `body` is for what is surely text."""

    method: str = Field(default="POST", pattern=r"^[A-Z]{1,16}$")
    url: str = Field(default="", max_length=8192, description="as the sender calls it, or its path alone")
    headers: dict[Name, Value | tuple[Value, ...]] | tuple[tuple[Name, Value], ...] = Field(
        default_factory=dict, max_length=_MAX_HEADERS, description="by name, or [name, value] pairs in order"
    )
    body: str | None = Field(default=None, description="the body as text, encoded as UTF-8")
    body_base64: str | None = Field(default=None, description=f"the body's bytes, at most {MAX_BODY}")
    at: float | None = Field(
        default=None, ge=0, le=_LATEST_S, description="epoch seconds to judge freshness by; default now"
    )


class CauseShown(Definition):
    """Why a request is refused: a stable code, and what to do. `certain`: proved by a signature, not guessed."""

    cause: Cause
    detail: str
    certain: bool


class SignedShown(Definition):
    """What the scheme signs: `template`, where the proof stands, and how the signed text begins here."""

    template: str
    stands_in: str
    algorithm: str
    preview: str | None
    bytes: int | None


class VerifyAnswer(Definition):
    """The verdict on a request. `verdict` is about the proof; `accepted` tells whether a delivery would be taken.

    `causes` begins with the likeliest. Nothing is stored, nothing counted.
    """

    verdict: Literal["valid", "invalid"]
    accepted: bool
    reason: str | None
    detail: str
    causes: list[CauseShown]
    scheme: str | None
    secret_id: str | None
    coverage: Literal["full", "partial", "none"] | None
    signed: SignedShown | None
    body_bytes: int
    body_sha256: str
    judged_at: datetime
    warnings: list[str]


async def verify_source_request(call: Call) -> Answer:
    """Judge a request as the door would, and say why it is refused."""
    asked = call.given(VerifyRequest)
    given = Given(asked.method, asked.url, _headers(asked), _body(asked), asked.at)
    record = await call.threads.run(call.env.registry.sources.get, call.tenant, call.named("id"))
    snapshot, source = await _view(call, record.id)
    removed = await call.threads.run(call.env.registry.removed_secrets.of, record.id)
    around = Surroundings(
        snapshot=snapshot,
        public_url=call.env.settings.public_ingest_url.rstrip("/"),
        body_limit=call.env.settings.body_limit_bytes,
        keys=call.env.keys,
        now_s=call.env.clock.time_ns() / _NS,
        others=_others(source, snapshot, removed),
    )
    async with call.threads.heavy:
        found = await call.threads.run(dry_run.judge, source, given, around)
    return Answer(_wire(found, given, around), secret=True)


async def _view(call: Call, source_id: str) -> tuple[Snapshot, SourceView]:
    """Return the newest snapshot and the source in it, as the doors see it."""
    snapshot = call.env.view.current()
    if source_id not in snapshot.sources:
        snapshot = await call.env.view.refresh()
    source = snapshot.sources.get(source_id)
    if source is None:
        raise Refused(Reason.NOT_FOUND, "the source was deleted a moment ago")
    return snapshot, source


def _others(source: SourceView, snapshot: Snapshot, removed: tuple[RemovedSecret, ...]) -> tuple[Secret, ...]:
    held = {secret.value for secret in source.secrets}
    old = [
        Secret(each.value, f"a secret that was removed from this source at {shapes.instant(each.removed_at_ms)}",
               Cause.SECRET_REMOVED)
        for each in removed if each.value not in held
    ]  # fmt: skip
    return dry_run.known(len(held), old, dry_run.others(source, snapshot, MAX_SECRETS), MAX_SECRETS)


def _headers(asked: VerifyRequest) -> tuple[tuple[str, str], ...]:
    if isinstance(asked.headers, tuple):
        return asked.headers
    pairs = [
        (name, value) for name, said in asked.headers.items() for value in ((said,) if isinstance(said, str) else said)
    ]
    if len(pairs) > _MAX_HEADERS:
        raise shapes.refuse("/headers", f"takes at most {_MAX_HEADERS} values")
    return tuple(pairs)


def _body(asked: VerifyRequest) -> bytes:
    if asked.body is not None and asked.body_base64 is not None:
        raise shapes.refuse("/body", "give one of body and bodyBase64")
    body = b"" if asked.body is None else asked.body.encode()
    if asked.body_base64 is not None:
        try:
            body = base64.b64decode("".join(asked.body_base64.split()), validate=True)
        except (binascii.Error, ValueError):
            raise shapes.refuse("/bodyBase64", "is not base64 (RFC 4648 section 4, with padding)") from None
    if len(body) > MAX_BODY:
        raise Refused(Reason.BODY_TOO_LARGE, f"at most {MAX_BODY} bytes are verified here")
    return body


def _wire(found: DryRun, given: Given, around: Surroundings) -> dict[str, Any]:
    at_s = around.now_s if given.at_s is None else given.at_s
    proof, signed = found.proof, found.signed
    return {
        "verdict": "valid" if found.authenticated else "invalid",
        "accepted": found.reason is None,
        "reason": None if found.reason is None else found.reason.value,
        "detail": found.detail,
        "causes": [{"cause": one.cause.value, "detail": one.detail, "certain": one.certain} for one in found.causes],
        "scheme": found.scheme,
        "secretId": None if proof is None else proof.secret_id,
        "coverage": None if proof is None else proof.coverage,
        "signed": None
        if signed is None
        else {
            "template": signed.template,
            "standsIn": signed.stands_in,
            "algorithm": signed.algorithm,
            "preview": signed.preview,
            "bytes": signed.size,
        },
        "bodyBytes": len(given.body),
        "bodySha256": dry_run.checksum(given.body),
        "judgedAt": shapes.instant(int(at_s * 1000)),
        "warnings": list(found.warnings),
    }


ROUTES = (
    Route("POST", "/sources/{id}/verify", verify_source_request, "Judge a request without taking it, and say why",
          Permission.SOURCES_WRITE, VerifyAnswer, takes=VerifyRequest, example=_EXAMPLE),
)  # fmt: skip
