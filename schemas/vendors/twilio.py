"""Twilio: base64 HMAC-SHA1 over the URL and the form's sorted fields, or over a URL that carries the body's SHA-256.

Facts: https://www.twilio.com/docs/usage/webhooks/webhooks-security. The URL is signed as Twilio knows it, with or
without its port: `public_ingest_url` must be that address, and no proxy may reorder or re-encode the query.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from schemas.signing.scheme import Container, Scheme
from schemas.vendors import read
from schemas.vendors.base import HOUR_S, Answer, Facts, Headers, Vendor

_TOKEN = "i-twilio-idempotency-token"  # noqa: S105 a header's name
_SID = ("MessageSid", "CallSid", "SmsSid", "ConferenceSid", "RecordingSid")
_STATUS = ("MessageStatus", "CallStatus", "SmsStatus", "StatusCallbackEvent", "RecordingStatus")
_MAX_FORM = 65_536
_MAX_FIELDS = 1_000
_TWIML = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'


def event_key(headers: Headers, body: bytes) -> str | None:
    """Return the idempotency token, else the object's id with its status and number in the sequence."""
    return headers.get(_TOKEN) or _composite(_form(body).get)


def facts(item: Mapping[str, Any], headers: Headers) -> Facts:
    """Return the object and its status (`message.delivered`) as type; the account is AccountSid."""
    kind = next((name.removesuffix("Sid").lower() for name in _SID if read.text(item, name)), None)
    return Facts(
        event_type=read.dotted("message" if kind == "sms" else kind, read.text(item, *_STATUS)),
        vendor_event_id=headers.get(_TOKEN) or _composite(lambda name: read.text(item, name)),
        source_identifier=read.text(item, "AccountSid"),
    )


def _composite(said: Callable[[str], str | None]) -> str | None:
    sid = next((value for name in _SID if (value := said(name))), None)
    status = next((value for name in _STATUS if (value := said(name))), None)
    return f"{sid}:{status}:{said('SequenceNumber') or ''}" if sid and status else None


def _form(body: bytes) -> dict[str, str]:
    if len(body) > _MAX_FORM:
        return {}
    try:
        return dict(parse_qsl(body.decode(), max_num_fields=_MAX_FIELDS))
    except ValueError:
        return {}


TWILIO = Vendor(
    name="twilio",
    title="Twilio",
    docs="https://www.twilio.com/docs/usage/webhooks",
    auth=Scheme(
        name="twilio",
        algorithm="sha1",
        message="{url}{params}",
        container=Container("bare", "X-Twilio-Signature", encoding="base64"),
        urls="ports",
    ),
    facts=facts,
    event_key=event_key,
    partitioning="event",
    success=Answer(200, _TWIML, "text/xml"),
    deadline_s=15.0,
    retry_span_s=HOUR_S,
    overload_status=503,  # one more try, on 5xx
    setup=(
        "Set public_ingest_url to the exact address that Twilio calls, https and host included.",
        "Console, Account Info: copy the Auth Token into the source (both tokens while you promote the secondary one).",
        "Phone number, Messaging: a message comes in: Webhook, the source's secret URL, HTTP POST.",
        "The answer is an empty TwiML response: use the source for status callbacks, or where no reply is wanted.",
    ),
)
