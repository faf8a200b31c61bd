"""Intercom webhooks: `X-Hub-Signature: sha1=` over the body with the app's client secret.

Facts: https://developers.intercom.com/docs/webhooks. A HEAD request at registration and the topic `ping` are no events.
"""

from collections.abc import Mapping
from typing import Any

from schemas.signing.scheme import Container, Scheme
from schemas.vendors import read
from schemas.vendors.base import HOUR_S, Answer, Facts, Handshake, Headers, Hello, Vendor

event_key = read.body_key("id")  # notif_…


def is_there(_hello: Hello) -> Answer | None:
    """Answer the HEAD request by which Intercom looks whether the endpoint is there."""
    return Answer(200, b"")


def facts(item: Mapping[str, Any], _headers: Headers) -> Facts:
    """Return topic, id and time; the account is the workspace (app_id)."""
    return Facts(
        event_type=read.text(item, "topic"),
        vendor_event_id=read.text(item, "id"),
        event_time_ms=read.epoch_ms(item.get("created_at")),
        source_identifier=read.text(item, "app_id"),
    )


INTERCOM = Vendor(
    name="intercom",
    title="Intercom",
    docs="https://developers.intercom.com/docs/webhooks",
    auth=Scheme(
        name="intercom",
        algorithm="sha1",
        message="{body}",
        container=Container("prefix", "X-Hub-Signature", tag="sha1="),
    ),
    facts=facts,
    event_key=event_key,
    partitioning="event",
    handshakes=(Handshake(("HEAD",), signed=False, reply=is_there),),
    control=frozenset({"ping"}),
    volatile=("/delivery_attempts", "/delivery_status", "/delivered_at", "/first_sent_at"),
    deadline_s=5.0,
    retry_span_s=HOUR_S,
    overload="queue",  # one more try, a minute later
    setup=(
        "Developer Hub, your app, Basic information: copy the client secret into the source.",
        "Configure, Webhooks: endpoint URL = the source's secret URL; choose the topics and save.",
        "Send a test request: the topic ping is counted as control.",
    ),
)
