"""Replies: the default acknowledgement, a vendor's own, and refusals as problem+json (RFC 9457). No secret in any."""

import orjson

from ingress import receipt
from ingress.arrival import JSON, PROBLEM, Reply
from ingress.env import Env
from ingress.record import Outgoing
from ingress.target import Target
from schemas.errors import Overloaded, Refused
from schemas.ports import Stored
from schemas.reasons import Reason

_ACCEPTED = 202
_NO_CONTENT = 204
_KEYS_RETRY = (("Retry-After", "60"),)
_CLOSING = frozenset(
    {
        Reason.BODY_TIMEOUT,
        Reason.BODY_TOO_LARGE,
        Reason.BAD_REQUEST,
        Reason.HEADERS_TOO_LARGE,
        Reason.CERTIFICATE_UNTRUSTED,  # the next connection is judged by the authorities of then
    }
)


def accepted(target: Target, outgoing: Outgoing, stored: Stored, env: Env) -> Reply:
    """Answer a stored delivery: 200 with its id and receipt, 202 for a workspace, or as the vendor wants it."""
    success = target.vendor.success
    outcome = "shed" if outgoing.shed else "accepted"
    if success.status == _NO_CONTENT:
        return Reply(_NO_CONTENT, b"", success.content_type, outcome)
    if success.body is not None:
        return Reply(success.status, success.body, success.content_type, outcome)
    known = env.view.current().topics.get(outgoing.topic)
    topic = known.topic_id if known else outgoing.topic
    path = receipt.make(env.receipt_key, outgoing.delivery_id, topic, stored.partition, stored.offset)
    body = f'{{"accepted":true,"deliveryId":"{outgoing.delivery_id}","receipt":"{path}"}}'.encode()
    return Reply(_ACCEPTED if target.object_only else success.status, body, JSON, outcome)


def refused(exc: Refused, *, status: int | None = None) -> Reply:
    """Answer a refusal; `status` overrides the reason's where a vendor wants another."""
    headers = _KEYS_RETRY if exc.reason is Reason.TOKEN_KEYS_AWAY else ()
    return problem(exc.reason, exc.detail, status=status, headers=headers)


def overloaded(exc: Overloaded, *, status: int | None = None) -> Reply:
    """Answer an overload with Retry-After in seconds; `status` overrides the reason's where a vendor wants another."""
    retry = str(exc.retry_after_s)
    detail = f"{exc.reason.text}; try again after {retry} s"
    return problem(exc.reason, detail, status=status, outcome="overloaded", headers=(("Retry-After", retry),))


def not_allowed() -> Reply:
    """Answer 405 with the one method that is taken."""
    return problem(Reason.METHOD_NOT_ALLOWED, "use POST", headers=(("Allow", "POST"),))


def failed() -> Reply:
    """Answer a bug of ours; the log has it."""
    return problem(Reason.INTERNAL, Reason.INTERNAL.text, outcome="failed")


def problem(
    reason: Reason,
    detail: str,
    *,
    status: int | None = None,
    outcome: str = "refused",
    headers: tuple[tuple[str, str], ...] = (),
) -> Reply:
    """Make a problem+json reply: `reason` is the stable code, `title` its text, `type` its URN."""
    code = status or reason.status
    body = orjson.dumps(
        {"type": reason.urn, "title": reason.text, "status": code, "detail": detail, "reason": reason.value}
    )
    return Reply(code, body, PROBLEM, outcome, reason, headers, close=reason in _CLOSING)
