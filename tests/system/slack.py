"""Slack deliveries as Slack sends them (https://api.slack.com/apis/events-api), made up for the tests."""

import json
import secrets
from typing import Any


def challenge(text: str) -> bytes:
    """Return the URL verification that Slack posts first."""
    return json.dumps({"token": "unused", "challenge": text, "type": "url_verification"}).encode()


def message(text: str, event_id: str | None = None) -> tuple[str, bytes]:
    """Return (event id, body) of one message event."""
    identity = event_id or f"Ev{secrets.token_hex(6).upper()}"
    body: dict[str, Any] = {
        "token": "unused",
        "team_id": "T0123456789",
        "api_app_id": "A0123456789",
        "event": {
            "type": "message",
            "channel": "C0123456789",
            "user": "U0123456789",
            "text": text,
            "ts": "1773828000.000100",
            "event_ts": "1773828000.000100",
            "channel_type": "channel",
        },
        "type": "event_callback",
        "event_id": identity,
        "event_time": 1_773_828_000,
    }
    return identity, json.dumps(body).encode()
