"""Microsoft Teams bots (Bot Framework): activities proved by a bearer token of Microsoft's, not by a signature.

Facts: https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication. The token
covers no byte of the body and can be replayed until it ends: the activity's id catches that.
"""

from schemas.vendors import shapes
from schemas.vendors.base import HOUR_S, JwtRule, Vendor

TEAMS = Vendor(
    name="teams",
    title="Microsoft Teams (bot)",
    docs="https://learn.microsoft.com/microsoftteams/platform/bots/overview",
    auth=None,
    jwt=JwtRule(
        issuer="https://api.botframework.com",
        keys_url="https://login.botframework.com/v1/.well-known/openidconfiguration",
        claim_in_body=("serviceurl", "/serviceUrl"),
        endorsed_by="/channelId",
    ),
    facts=shapes.activity,
    event_key=shapes.activity_key,
    partitioning="event",
    deadline_s=15.0,
    retry_span_s=HOUR_S,
    overload_status=503,  # a person waits for the bot
    setup=(
        "Azure portal, Azure Bot, Configuration: copy the Microsoft App ID; it is the source's auth.audience.",
        "Messaging endpoint: the source's secret URL; Channels: Microsoft Teams.",
        "This server must reach login.botframework.com: Microsoft's keys are read there and kept for a while.",
        "Another cloud (US Government, China): give its issuer and its metadata's address as auth.jwksUrl.",
    ),
)
