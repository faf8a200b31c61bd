"""The URL as a sender may have signed it: with or without a port, some escapes undone; one parameter of its query.

Lives here: text of URLs, total on odd ones. Not here: which URL we think we have (ingress passes the public one).
Twilio: https://www.twilio.com/docs/usage/security. HubSpot: https://developers.hubspot.com/docs/api/webhooks.
"""

import re
from typing import Literal
from urllib.parse import parse_qsl

_PARTS = re.compile(r"(https?)://([^/?#]*)(.*)", re.DOTALL)
_PORT = re.compile(r":[0-9]{1,5}$", re.ASCII)
_DEFAULT = {"http": ":80", "https": ":443"}
_MAX_QUERY = 8190
_MAX_FIELDS = 100
_UNDONE = {
    "%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$", "%27": "'", "%28": "(", "%29": ")",
    "%2A": "*", "%2C": ",", "%3B": ";",
}  # fmt: skip
_ESCAPES = re.compile("|".join(_UNDONE), re.IGNORECASE)


def variants(kind: Literal["exact", "ports", "hubspot"], url: str) -> tuple[str, ...]:
    """Return the texts that a sender may have signed for this URL, the likeliest first."""
    if kind == "ports":
        return _ports(url)
    if kind == "hubspot":
        undone = _ESCAPES.sub(lambda found: _UNDONE[found[0].upper()], url)
        return (url,) if undone == url else (url, undone)
    return (url,)


def _ports(url: str) -> tuple[str, ...]:
    parts = _PARTS.fullmatch(url)
    if parts is None:
        return (url,)
    scheme, place, rest = parts.groups()
    bare = _PORT.sub("", place)
    other = bare if bare != place else place + _DEFAULT[scheme]
    return (url, f"{scheme}://{other}{rest}")


def parameter(url: str, name: str) -> str | None:
    """Return the first value of a query parameter as text that stands for its bytes (latin-1); None if it is absent."""
    query = url.partition("#")[0].partition("?")[2]
    if not query or len(query) > _MAX_QUERY:
        return None
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_FIELDS, encoding="latin-1")
    except ValueError:
        return None
    return next((value for given, value in pairs if given == name), None)
