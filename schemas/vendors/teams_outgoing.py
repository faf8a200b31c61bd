"""Outgoing webhooks of a Teams team: `Authorization: HMAC ` and base64 over the body, answered at once by a message.

Facts: https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-outgoing-webhook. The
token shown once is base64 and is decoded before use. Teams waits 5 s and never retries.
"""

from schemas.signing.scheme import Container, Scheme
from schemas.vendors import shapes
from schemas.vendors.base import Answer, Vendor

TEAMS_OUTGOING = Vendor(
    name="teams-outgoing",
    title="Microsoft Teams (outgoing webhook)",
    docs="https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-outgoing-webhook",
    auth=Scheme(
        name="teams-outgoing",
        algorithm="sha256",
        message="{body}",
        container=Container("prefix", "Authorization", tag="HMAC ", encoding="base64"),
        key="base64",
    ),
    facts=shapes.activity,
    event_key=shapes.activity_key,
    partitioning="event",
    success=Answer(200, b'{"type":"message","text":"received"}'),
    deadline_s=5.0,
    overload_status=503,  # no second try, and a person waits
    setup=(
        "Teams, the team, Manage team, Apps, Create an outgoing webhook.",
        "Callback URL: the source's secret URL.",
        "Copy the security token that is shown once into the source. Each mention is answered with: received.",
    ),
)
