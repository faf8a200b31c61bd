"""Jira Cloud and Data Center: `X-Hub-Signature: sha256=` over the body, an identifier that is stable over retries.

Facts: https://developer.atlassian.com/cloud/jira/platform/webhooks. Only webhooks that an administrator registered with
a secret are signed; Data Center sends no identifier. The method is pinned: the header's label never chooses the hash.
"""

from collections.abc import Mapping
from typing import Any

from schemas.signing.scheme import Container, Scheme
from schemas.vendors import read
from schemas.vendors.base import HOUR_S, Facts, Headers, Vendor


def event_key(headers: Headers, _body: bytes) -> str | None:
    """Return the webhook identifier: the same for each attempt, unique within a site."""
    return headers.get("x-atlassian-webhook-identifier") or None


def facts(item: Mapping[str, Any], headers: Headers) -> Facts:
    """Return webhookEvent and its time; the account is the site's host, read from a `self` link."""
    links = (read.at(item, part, "self") for part in ("issue", "user", "project", "comment", "version", "sprint"))
    return Facts(
        event_type=read.text(item, "webhookEvent"),
        vendor_event_id=event_key(headers, b""),
        event_time_ms=read.whole_ms(item.get("timestamp")),
        source_identifier=next((host for link in links if (host := read.host(link))), None),
    )


JIRA = Vendor(
    name="jira",
    title="Jira",
    docs="https://developer.atlassian.com/cloud/jira/platform/webhooks",
    auth=Scheme(
        name="jira",
        algorithm="sha256",
        message="{body}",
        container=Container("prefix", "X-Hub-Signature", tag="sha256="),
    ),
    facts=facts,
    event_key=event_key,
    partitioning="event",
    deadline_s=20.0,
    retry_span_s=HOUR_S,  # five tries on 408, 409, 425, 429 and 5xx; another 4xx loses the event
    overload="reject",
    setup=(
        "Settings, System, WebHooks, Create a WebHook (you must be an administrator).",
        "URL: the source's ingest URL; Secret: a long random text, the same in the source.",
        "Choose the events and save. Webhooks of Connect apps are not signed this way.",
    ),
)
