"""Bitbucket Cloud and Data Center: `X-Hub-Signature: sha256=` over the body, event and request id in headers.

Facts: https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks and .../event-payloads. The method is pinned:
the header's label never chooses the hash.
"""

from collections.abc import Mapping
from typing import Any

from schemas.signing.scheme import Container, Scheme
from schemas.vendors import read
from schemas.vendors.base import DAY_S, Facts, Headers, Vendor

_ID = ("x-request-uuid", "x-request-id")


def event_key(headers: Headers, _body: bytes) -> str | None:
    """Return the request's id (Cloud: X-Request-UUID, Data Center: X-Request-Id), the same for each attempt."""
    return next((headers[name] for name in _ID if headers.get(name)), None)


def facts(item: Mapping[str, Any], headers: Headers) -> Facts:
    """Return X-Event-Key (`repo:push`) as type; the account is the repository or the workspace."""
    repository = read.inner(item, "repository")
    return Facts(
        event_type=headers.get("x-event-key") or read.text(item, "eventKey"),
        vendor_event_id=event_key(headers, b""),
        event_time_ms=read.epoch_ms(item.get("date")),
        source_identifier=read.text(repository, "full_name", "slug") or read.at(item, "workspace", "slug"),
    )


BITBUCKET = Vendor(
    name="bitbucket",
    title="Bitbucket",
    docs="https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks",
    auth=Scheme(
        name="bitbucket",
        algorithm="sha256",
        message="{body}",
        container=Container("prefix", "X-Hub-Signature", tag="sha256="),
    ),
    facts=facts,
    event_key=event_key,
    partitioning="event",
    control=frozenset({"diagnostics:ping"}),
    deadline_s=10.0,
    retry_span_s=DAY_S,
    overload_status=503,  # a few tries within minutes, on 5xx
    setup=(
        "Repository settings, Webhooks, Add webhook.",
        "URL: the source's ingest URL; Secret: Generate secret, and copy it into the source.",
        "Choose the triggers and save. Data Center: Test connection sends diagnostics:ping, counted as control.",
    ),
)
