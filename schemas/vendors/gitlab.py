"""GitLab webhooks: a shared token in X-Gitlab-Token, or, where it is switched on, Standard Webhooks signatures.

Facts: https://docs.gitlab.com/user/project/integrations/webhooks. The token covers no byte of the body: authCoverage is
none. How GitLab turns a signing token into a key is not confirmed: only a secret written whsec_… is read as one.
"""

from collections.abc import Mapping
from typing import Any

from schemas.signing import standard
from schemas.signing.scheme import Container, Scheme
from schemas.vendors import read
from schemas.vendors.base import DAY_S, MIB, Facts, Headers, Vendor

_IDS = ("idempotency-key", "webhook-id", "x-gitlab-event-uuid")
_V1, _ = standard.schemes("gitlab-signing", key="whsec-only")


def event_key(headers: Headers, _body: bytes) -> str | None:
    """Return Idempotency-Key (17.4 and newer), else X-Gitlab-Event-UUID; stable over retries."""
    return next((headers[name] for name in _IDS if headers.get(name)), None)


def facts(item: Mapping[str, Any], headers: Headers) -> Facts:
    """Return `object_kind.action`, else X-Gitlab-Event; the account is the project with its instance."""
    kind = read.text(item, "object_kind", "event_name") or headers.get("x-gitlab-event") or None
    project = read.at(item, "project", "id") or read.text(item, "project_id")
    instance = headers.get("x-gitlab-instance")
    return Facts(
        event_type=read.dotted(kind, read.at(item, "object_attributes", "action")),
        vendor_event_id=event_key(headers, b""),
        source_identifier=f"{instance}/{project}" if instance and project else project,
    )


GITLAB = Vendor(
    name="gitlab",
    title="GitLab",
    docs="https://docs.gitlab.com/user/project/integrations/webhooks",
    auth=Scheme(
        name="gitlab",
        algorithm="token",
        message="",
        container=Container("bare", "X-Gitlab-Token"),
        coverage="none",
    ),
    also=(_V1,),
    facts=facts,
    event_key=event_key,
    partitioning="event",
    deadline_s=10.0,
    retry_span_s=DAY_S,  # no retry of one delivery; four failures in a row disable the hook for 1 min up to 24 h
    body_limit=25 * MIB,
    overload_status=503,  # never tries one delivery again, and counts 4xx against the hook
    setup=(
        "Project or group, Settings, Webhooks, Add new webhook.",
        "URL: the source's ingest URL; Secret token: a long random text, the same in the source.",
        "Choose the triggers, keep SSL verification on, add, and press Test.",
    ),
)
