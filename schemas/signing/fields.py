"""Parts of a body that are signed instead of all of it: the first item of a batch, a form's fields in order.

Lives here: bytes in, bytes out; total on odd bodies. Not here: what items mean (streams/split.py).
Segment: https://segment.com/docs/connections/destinations/catalog/webhooks. Twilio:
https://www.twilio.com/docs/usage/webhooks/webhooks-security.
"""

import hashlib
from urllib.parse import unquote_to_bytes

from schemas import jsonslice
from schemas.reasons import Reason
from schemas.signing import urls

Bytes = bytes | bytearray | memoryview
BODY_HASH = "bodySHA256"
MAX_FIELDS = 1_000
_FORM = "application/x-www-form-urlencoded"


def is_array(body: Bytes) -> bool:
    """Tell whether a body is a JSON array by its first byte."""
    return bytes(body[:1024]).lstrip(jsonslice.WHITESPACE)[:1] == b"["


def first_item(body: Bytes) -> Bytes | None:
    """Return the bytes of an array's first item, the body itself when it is none; None for an empty or broken one."""
    if not is_array(body):
        return body
    try:
        return next(iter(jsonslice.items(bytes(body))), None)
    except ValueError:
        return None


def is_batch(body: Bytes) -> bool:
    """Tell whether a body is an array of several items."""
    if not is_array(body):
        return False
    try:
        return len(jsonslice.items(bytes(body))) > 1
    except ValueError:
        return False


def params(url: str, content_type: str, body: Bytes) -> bytes | Reason:
    """Return what Twilio signs after the URL: a form's names and values, sorted and without repetitions.

    Any other body is bound by its SHA-256 in the query; one that is bound by nothing is no message.
    """
    bound = urls.parameter(url, BODY_HASH)
    if bound is not None:
        right = hashlib.sha256(body).hexdigest() == bound.lower()
        return b"" if right else Reason.SIGNATURE_MISMATCH
    if not len(body):
        return b""
    if content_type.partition(";")[0].strip().lower() != _FORM:
        return Reason.SIGNATURE_MALFORMED
    raw = bytes(body)
    if raw.count(b"&") >= MAX_FIELDS:
        return Reason.SIGNATURE_MALFORMED
    pairs = {
        (_plain(name), _plain(value)) for name, _, value in (pair.partition(b"=") for pair in raw.split(b"&") if pair)
    }
    return b"".join(name + value for name, value in sorted(pairs))


def _plain(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))
