"""Stand-ins for vendors' own command lines, so that the README's commands run as printed without an account.

They know the options that the README uses and refuse all others, and forward what the real ones forward: body and
headers as the vendor made them (https://docs.stripe.com/cli/listen, https://github.com/cli/gh-webhook). Unlike the real
ones they end after one event.
"""

import argparse
import hashlib
import hmac
import json
import os
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import requests

SECRET = "whsec_of_the_stand_in"
EVENT = {
    "id": "evt_1Nx",
    "object": "event",
    "type": "payment_intent.succeeded",
    "created": 1_760_000_000,
    "livemode": False,
    "data": {"object": {"id": "pi_1", "object": "payment_intent", "amount": 2000, "currency": "usd"}},
}
NAMES = ("stripe", "gh", "cloudflared")


def install(folder: Path) -> Path:
    """Put the stand-ins into a folder for PATH and return it."""
    folder.mkdir()
    root = Path(__file__).parents[2]
    for name in NAMES:
        file = folder / name
        file.write_text(f'#!/bin/sh\nPYTHONPATH="{root}" exec "{sys.executable}" -m {__name__} {name} "$@"\n')
        file.chmod(0o700)
    return folder


def _stripe(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser("stripe", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    listen = commands.add_parser("listen", allow_abbrev=False)
    what = listen.add_mutually_exclusive_group(required=True)
    what.add_argument("--print-secret", action="store_true")
    what.add_argument("--forward-to")
    commands.add_parser("trigger").add_argument("event", choices=[EVENT["type"]])
    given = parser.parse_args(arguments)
    if given.command == "listen" and given.print_secret:
        print(SECRET)
    elif given.command == "listen":
        body, at = json.dumps(EVENT, indent=2).encode(), str(int(time.time()))
        mac = hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        _post(given.forward_to, body, {"Stripe-Signature": f"t={at},v1={mac}"})


def _gh(arguments: Sequence[str]) -> None:
    if list(arguments) == ["extension", "install", "cli/gh-webhook"]:
        return
    parser = argparse.ArgumentParser("gh", allow_abbrev=False)
    parser.add_argument("command", choices=["webhook"])
    parser.add_argument("action", choices=["forward"])
    for name in ("--repo", "--events", "--url", "--secret"):
        parser.add_argument(name, required=True)
    given = parser.parse_args(arguments)
    body = json.dumps({"action": "opened", "issue": {"number": 1, "title": "It works"}}).encode()
    mac = hmac.new(given.secret.encode(), body, hashlib.sha256).hexdigest()
    assert "issues" in given.events.split(",")
    headers = {"X-GitHub-Event": "issues", "X-GitHub-Delivery": str(uuid.uuid4())}
    _post(given.url, body, {**headers, "X-Hub-Signature-256": f"sha256={mac}"})


def _cloudflared(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser("cloudflared", allow_abbrev=False)
    parser.add_argument("command", choices=["tunnel"])
    parser.add_argument("--url", required=True)
    url = parser.parse_args(arguments).url
    requests.get(f"{url}/livez", timeout=30).raise_for_status()
    print("https://words-of-a-tunnel.trycloudflare.com")


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> None:
    answer = requests.post(url, body, headers={"Content-Type": "application/json", **headers}, timeout=30)
    print(f"<--  [{answer.status_code}] POST {url}")
    answer.raise_for_status()


if __name__ == "__main__":
    os.environ.pop("HOOKBERG_KEY", None)
    {"stripe": _stripe, "gh": _gh, "cloudflared": _cloudflared}[sys.argv[1]](sys.argv[2:])
