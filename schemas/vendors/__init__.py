"""Vendors as data: one file each, one line each in `VENDORS`. The shapes are in base.py; how to add one: README.md."""

from collections.abc import Mapping

from schemas.vendors.adyen import ADYEN
from schemas.vendors.adyen_platform import ADYEN_PLATFORM
from schemas.vendors.base import Vendor
from schemas.vendors.bitbucket import BITBUCKET
from schemas.vendors.cloudevents import CLOUDEVENTS, EVENTGRID
from schemas.vendors.discord import DISCORD
from schemas.vendors.generic import GENERIC
from schemas.vendors.github import GITHUB
from schemas.vendors.gitlab import GITLAB
from schemas.vendors.hubspot import HUBSPOT
from schemas.vendors.intercom import INTERCOM
from schemas.vendors.jira import JIRA
from schemas.vendors.linear import LINEAR
from schemas.vendors.meta import META, WHATSAPP
from schemas.vendors.msgraph import MSGRAPH
from schemas.vendors.openmetadata import OPENMETADATA
from schemas.vendors.paddle import PADDLE
from schemas.vendors.pagerduty import PAGERDUTY
from schemas.vendors.segment import SEGMENT
from schemas.vendors.sendgrid import SENDGRID
from schemas.vendors.shopify import SHOPIFY
from schemas.vendors.slack import SLACK
from schemas.vendors.square import SQUARE
from schemas.vendors.standardwebhooks import STANDARDWEBHOOKS
from schemas.vendors.stripe import STRIPE
from schemas.vendors.svix import SVIX
from schemas.vendors.teams import TEAMS
from schemas.vendors.teams_outgoing import TEAMS_OUTGOING
from schemas.vendors.twilio import TWILIO
from schemas.vendors.zendesk import ZENDESK

VENDORS: Mapping[str, Vendor] = {
    "adyen": ADYEN,
    "adyen-platform": ADYEN_PLATFORM,
    "bitbucket": BITBUCKET,
    "cloudevents": CLOUDEVENTS,
    "discord": DISCORD,
    "eventgrid": EVENTGRID,
    "generic": GENERIC,
    "github": GITHUB,
    "gitlab": GITLAB,
    "hubspot": HUBSPOT,
    "intercom": INTERCOM,
    "jira": JIRA,
    "linear": LINEAR,
    "meta": META,
    "msgraph": MSGRAPH,
    "openmetadata": OPENMETADATA,
    "paddle": PADDLE,
    "pagerduty": PAGERDUTY,
    "segment": SEGMENT,
    "sendgrid": SENDGRID,
    "shopify": SHOPIFY,
    "slack": SLACK,
    "square": SQUARE,
    "standardwebhooks": STANDARDWEBHOOKS,
    "stripe": STRIPE,
    "svix": SVIX,
    "teams": TEAMS,
    "teams-outgoing": TEAMS_OUTGOING,
    "twilio": TWILIO,
    "whatsapp": WHATSAPP,
    "zendesk": ZENDESK,
}


def adapter(platform: str) -> Vendor:
    """Return the vendor of this name, else generic: any platform name may be used."""
    return VENDORS.get(platform, GENERIC)
