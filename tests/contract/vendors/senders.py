"""How vendors sign, written a second time from their documents with the standard library and `cryptography` alone.

Lives here: one `Sender` for each scheme of each vendor. Not here: what may go wrong on the way (cases.py). Nothing of
schemas/signing is imported: two mistakes must agree before a test is fooled.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

NOW = 1_750_000_000
URL = "https://hooks.example.com/in/t0ken?a=1"
BODY = '{ "id": "evt_1", "type":"created", "amount": 12.50, "name": "caf\u00e9 \u2615 \\u00e9" }\n'.encode()
Seal = Callable[[str, bytes], bytes]
"""A signature's bytes by the secret's text (as the sender knows it) and the message."""


@dataclass(frozen=True)
class Sent:
    """One request."""

    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    method: str = "POST"


@dataclass(frozen=True)
class Draft:
    """What there is to be signed."""

    url: str
    body: bytes
    time: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Sender:
    """A vendor's way to sign: `secrets` are two texts that a receiver may hold; the first is the sender's.

    `place`: where the signature stands; `header` names it; `frame` puts signature and time into its text. `tolerance`:
    how old and how far ahead, in units of a second. `confused`: other algorithms that must not pass.
    """

    vendor: str
    scheme: str
    secrets: tuple[str, str]
    message: Callable[[Draft], bytes]
    seal: Seal
    header: str
    encoding: Literal["hex", "base64", "text"] = "hex"
    frame: Callable[[str, str], str] = lambda signature, _time: signature
    place: Literal["header", "query", "items"] = "header"
    stamp: Callable[[int], str] = str
    time_header: str = ""
    tolerance: tuple[int, int] | None = None
    body: Callable[[int], bytes] = lambda _now: BODY
    url: str = URL
    extra: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
    coverage: str = "full"
    confused: dict[str, Seal] = field(default_factory=dict)
    batch: bool = False

    @property
    def name(self) -> str:
        """Return a name for test ids."""
        return f"{self.vendor}:{self.scheme}{'-batch' if self.batch else ''}"


def send(sender: Sender, now: int, *, body: bytes | None = None, seal: Seal | None = None) -> Sent:
    """Return a request as the vendor makes it at `now`; `seal` signs it otherwise."""
    text = sender.body(now) if body is None else body
    time = sender.stamp(now)
    if sender.place == "items":
        return Sent(sender.url, sender.extra, _sealed_items(sender, text, seal or sender.seal))
    draft = Draft(sender.url, text, time, dict(sender.extra))
    signature = encoded(sender, (seal or sender.seal)(sender.secrets[0], sender.message(draft)))
    return placed(sender, Sent(sender.url, _stamped(sender, time), text), sender.frame(signature, time))


def encoded(sender: Sender, raw: bytes) -> str:
    """Return a signature's bytes as the vendor writes them."""
    if sender.encoding == "text":
        return raw.decode("latin-1")
    return raw.hex() if sender.encoding == "hex" else base64.b64encode(raw).decode()


def placed(sender: Sender, sent: Sent, text: str | None) -> Sent:
    """Return a request with this signature text; None takes it away."""
    if sender.place == "header":
        rest = tuple(pair for pair in sent.headers if pair[0] != sender.header)
        return replace(sent, headers=rest if text is None else (*rest, (sender.header, text)))
    if sender.place == "query":
        bare = sent.url.partition("&" + sender.header)[0]
        return replace(sent, url=bare if text is None else f"{bare}&{sender.header}={text}")
    value = json.loads(sent.body)
    for item in _items_of(value):
        _member(item, text)
    return replace(sent, body=json.dumps(value).encode())


def signature(sender: Sender, sent: Sent) -> str:
    """Return the signature text of a request."""
    if sender.place == "header":
        return dict(sent.headers)[sender.header]
    if sender.place == "query":
        return sent.url.partition(f"&{sender.header}=")[2]
    first = _items_of(json.loads(sent.body))[0]
    return str(first["additionalData"]["hmacSignature"] if "additionalData" in first else first["clientState"])


def _stamped(sender: Sender, time: str) -> tuple[tuple[str, str], ...]:
    return (*sender.extra, (sender.time_header, time)) if sender.time_header else sender.extra


def _items_of(value: Any) -> list[dict[str, Any]]:
    if "value" in value:
        return list(value["value"])
    return [each["NotificationRequestItem"] for each in value["notificationItems"]]


def _member(item: dict[str, Any], text: str | None) -> None:
    holder, name = (item["additionalData"], "hmacSignature") if "additionalData" in item else (item, "clientState")
    if text is None:
        holder.pop(name, None)
    else:
        holder[name] = text


def _sealed_items(sender: Sender, body: bytes, seal: Seal) -> bytes:
    value = json.loads(body)
    for item in _items_of(value):
        message = sender.message(Draft("", json.dumps(item).encode(), "", {}))
        _member(item, encoded(sender, seal(sender.secrets[0], message)))
    return json.dumps(value, ensure_ascii=False).encode()


def mac(algorithm: str, key: Callable[[str], bytes] = str.encode) -> Seal:
    """Return an HMAC whose key is made of the secret's text."""
    return lambda secret, message: hmac.new(key(secret), message, algorithm).digest()


def b64key(secret: str) -> bytes:
    """Return a base64 secret's bytes, without the prefix that some carry and with or without padding."""
    text = secret.removeprefix("whsec_")
    return base64.b64decode(text + "=" * (-len(text) % 4))


def token(secret: str, _message: bytes) -> bytes:
    """Return the secret itself."""
    return secret.encode()


OTHER_MACS = {
    "sha1": mac("sha1"),
    "md5": mac("md5"),
    "no-key": lambda _secret, message: hashlib.sha256(message).digest(),
}
WHSEC = ("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3", "whsec_" + base64.b64encode(b"other key of 24 bytes...").decode())
ED = [ed25519.Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2)]
EC = [ec.derive_private_key(n, ec.SECP256R1()) for n in (11, 12)]
ED_RAW = [key.public_key().public_bytes_raw() for key in ED]
SPKI = [
    base64.b64encode(
        key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    ).decode()
    for key in EC
]


def ed_seal(_secret: str, message: bytes) -> bytes:
    """Sign with the Ed25519 key whose public half the receiver holds."""
    return ED[0].sign(message)


def ec_seal(_secret: str, message: bytes) -> bytes:
    """Sign with the P-256 key whose public half the receiver holds; the same bytes each time (RFC 6979)."""
    return EC[0].sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


def wrong_hash(_secret: str, message: bytes) -> bytes:
    """Sign with the right P-256 key over another hash."""
    return EC[0].sign(message, ec.ECDSA(hashes.SHA384(), deterministic_signing=True))


def iso(now: int) -> str:
    """Return a time as Zendesk writes it."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def form(draft: Draft) -> bytes:
    """Return what Twilio signs of a form: the URL, then names and values sorted by name."""
    pairs = sorted(set(parse_qsl(draft.body.decode(), keep_blank_values=True)))
    return (draft.url + "".join(name + value for name, value in pairs)).encode()
