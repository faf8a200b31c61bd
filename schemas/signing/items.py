"""Signatures inside the items of a body: each item is proved by itself, and all must be.

Lives here: finding items and fields, the message of an item. A vendor's library may check the first item only; a forged
second one would pass there. Adyen: https://docs.adyen.com/development-resources/webhooks/verify-hmac-signatures.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from schemas.reasons import Reason
from schemas.signing import mac
from schemas.signing.scheme import InItems, Invalid, Scheme, SignedRequest, Valid, Verdict

MAX_ITEMS = 10_000


def verify(  # noqa: PLR0911 one line for each check
    scheme: Scheme, inside: InItems, request: SignedRequest, secrets: Sequence[bytes]
) -> Verdict:
    """Judge every item; `Valid.secret` is the secret of the first. Total."""
    try:
        found = _at(orjson.loads(request.body), inside.path)
    except (orjson.JSONDecodeError, RecursionError):
        return Invalid(Reason.SIGNATURE_MALFORMED)
    if not found:
        return Invalid(Reason.SIGNATURE_MISSING)
    if len(found) > MAX_ITEMS:
        return Invalid(Reason.SIGNATURE_MALFORMED)
    keys = [(index, made) for index, secret in enumerate(secrets) if (made := mac.key(scheme, secret)) is not None]
    if not keys:
        return Invalid(Reason.NO_SECRET)
    matched: list[int] = []
    for item in found:
        presented = _text(item, inside.signature)
        if not presented:
            return Invalid(Reason.SIGNATURE_MISSING)
        message = inside.separator.join(_text(item, field) or "" for field in inside.fields)
        which = _match(scheme, keys, message.encode("utf-8", "surrogatepass"), presented)
        if which is None:
            return Invalid(Reason.SIGNATURE_MISMATCH)
        matched.append(which)
    return Valid(matched[0], scheme.coverage)


def _match(scheme: Scheme, keys: Sequence[tuple[int, bytes]], message: bytes, presented: str) -> int | None:
    candidate = presented.encode("utf-8", "surrogatepass")
    for index, made in keys:
        if mac.equal(scheme, mac.render(scheme, mac.digest(scheme, made, [message])), candidate):
            return index
    return None


def _at(value: Any, path: str) -> list[Any]:  # noqa: ANN401 JSON
    """Return what a path leads to; `*` is every member of an array, a missing member is a None that cannot verify."""
    found = [value]
    for part in path.split("/")[1:]:
        if part == "*":
            found = [member for each in found if isinstance(each, list) for member in each]
        else:
            found = [each.get(part) if isinstance(each, dict) else None for each in found]
    return found


def _text(item: Any, pointer: str) -> str | None:  # noqa: ANN401 JSON
    """Return a member as text, as senders join it: numbers as digits, booleans as true and false."""
    for part in pointer.split("/")[1:]:
        item = item.get(part) if isinstance(item, dict) else None
    if isinstance(item, bool):
        return "true" if item else "false"
    return str(item) if isinstance(item, str | int) else None
