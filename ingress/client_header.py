"""The header in which a proxy that ends TLS passes the client certificate on: read, never believed by itself.

Lives here: the two forms. `xfcc`: X-Forwarded-Client-Cert as Envoy and its kin write it
(https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers). `pem`: the certificate alone,
URL-encoded PEM (nginx, AWS), base64 of the DER (HAProxy, Traefik), or RFC 9440's `:…:`. Not here: which proxies are
believed (mtls.py).
"""

import base64
import binascii
import re
from collections.abc import Sequence
from urllib.parse import unquote

from ingress import certificate
from ingress.certificate import Identity

MAX_HEADER = 16_384
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_PAIR = re.compile(r'\s*([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^";,]*)\s*')


def read(form: str, values: Sequence[str]) -> Identity | None:
    """Return whom the header's values name; None when they cannot be read, or name nobody for certain."""
    if not values or sum(map(len, values)) > MAX_HEADER:
        return None
    if form == "xfcc":
        return _xfcc(",".join(values))
    return _pem(values[0]) if len(values) == 1 else None


def _pem(value: str) -> Identity | None:
    text = unquote(value).strip()
    framed = _PEM.match(text)
    if framed is not None:
        text = framed[1]
    elif text.startswith(":"):
        text = text.strip(":")
    else:
        text = text.partition(",")[0]
    try:
        return certificate.of_der(base64.b64decode("".join(text.split()), validate=True))
    except (binascii.Error, ValueError):
        return None


def _xfcc(value: str) -> Identity | None:
    """Read the last element: the one that the proxy next to us wrote. Those before it are what it was told."""
    pairs = _last_element(value)
    if pairs is None:
        return None
    said: dict[str, list[str]] = {}
    for name, text in pairs:
        said.setdefault(name.lower(), []).append(text)
    if said.get("cert"):
        return _pem(said["cert"][0])
    try:
        subject = certificate.attributes(said["subject"][0]) if said.get("subject") else frozenset()
    except ValueError:
        subject = frozenset()
    dns, uris = tuple(said.get("dns", ())), tuple(said.get("uri", ()))
    told = said.get("hash", [""])[0].lower()
    who = Identity(subject, dns, uris, fingerprint=told if _HASH.fullmatch(told) else "")
    return who if who.subject or who.dns or who.uris else None


def _last_element(value: str) -> list[tuple[str, str]] | None:
    """Return the pairs of the last element; None unless all of the header is elements of pairs, quotes closed."""
    pairs: list[tuple[str, str]] = []
    at = 0
    while True:
        found = _PAIR.match(value, at)
        if found is None:
            return None
        pairs.append((found[1], _plain(found[2])))
        at = found.end()
        if at == len(value):
            return pairs
        if value[at] == ",":
            pairs = []
        elif value[at] != ";":
            return None
        at += 1


def _plain(text: str) -> str:
    """Undo the quotes of a value; a backslash before anything but a quote is the value's own (a name's escape)."""
    return text[1:-1].replace('\\"', '"') if text.startswith('"') else text.strip()
