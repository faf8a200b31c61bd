"""Requests that are answered and never stored: a vendor's way of asking whether we are there.

Lives here: when a vendor's handshake is asked, before or after the sender proved itself. What it answers is the
vendor's (schemas/vendors).
"""

from collections.abc import Iterable

from ingress.arrival import Arrival, Reply
from ingress.routes import query
from ingress.target import Target
from schemas.definitions.view import SecretView
from schemas.vendors.base import TOKEN_PREFIX, Hello

_REFUSED = 400
_TOKEN = TOKEN_PREFIX.encode()


def answer(target: Target, arrival: Arrival, body: bytes, *, proven: bool) -> Reply | None:
    """Return the vendor's answer; None when this is no handshake, or a signed one whose sender is not proven yet."""
    for handshake in target.vendor.handshakes:
        if arrival.method not in handshake.methods or handshake.signed is not proven:
            continue
        said = handshake.reply(
            Hello(arrival.method, query(arrival.query), arrival.headers.by_name, body, tokens(target.source.secrets))
        )
        if said is not None:
            outcome = "handshake" if said.status < _REFUSED else "refused"
            return Reply(said.status, said.body or b"", said.content_type, outcome, headers=said.headers)
    return None


def tokens(secrets: Iterable[SecretView]) -> tuple[str, ...]:
    """Return the texts of the secrets that are handshakes' tokens and no keys."""
    return tuple(one.value[len(_TOKEN) :].decode("utf-8", "replace") for one in secrets if one.value.startswith(_TOKEN))
