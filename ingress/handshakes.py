"""Requests that are answered and never stored: a vendor's way of asking whether we are there.

Lives here: when a vendor's handshake is asked, before or after the sender proved itself. What it answers is the
vendor's (schemas/vendors).
"""

from ingress.arrival import Arrival, Reply
from ingress.resolve import Target
from ingress.routes import query


def answer(target: Target, arrival: Arrival, body: bytes, *, proven: bool) -> Reply | None:
    """Return the vendor's answer; None when this is no handshake, or a signed one whose sender is not proven yet."""
    handshake = target.vendor.handshake
    if handshake is None or arrival.method not in handshake.methods or handshake.signed is not proven:
        return None
    said = handshake.reply(arrival.method, query(arrival.query), arrival.by_name, body)
    if said is None:
        return None
    return Reply(said.status, said.body or b"", said.content_type, "handshake")
