"""Addresses that others are shown: how they reach what listens here."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from schemas.settings.base import Settings


def _public_url(value: str) -> str:
    """Return an address that people are shown and vendors sign, without a slash at its end; refuse what is none."""
    try:
        found = urlsplit(value)
        bare = found.hostname is not None and found.port != 0 and "@" not in found.netloc
    except ValueError:
        bare = False
    plain = value.isascii() and value.isprintable() and not any(mark in value for mark in " ?#")
    if not bare or not plain or found.scheme not in {"http", "https"}:
        raise ValueError("an address as https://hooks.example.com: no user, query or fragment")
    return value.rstrip("/")


PublicUrl = Annotated[str, AfterValidator(_public_url)]


class ApiAddressSettings(Settings):
    """Where the API is, for those who are told of it."""

    public_api_url: PublicUrl = Field(
        default="http://127.0.0.1:8080",
        description="how people reach the API; table snippets and messages to chats name it",
    )
