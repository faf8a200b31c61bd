"""The signatures of an outbound message, over its exact bytes.

Lives here: which headers, which secret, which key bytes. Not here: HMACs (schemas/signing: what we send is what our own
ingress takes). https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

A secret's text `whsec_<base64>` is, for Standard Webhooks, the key that the base64 stands for; any other text is its
UTF-8 bytes. OpenMetadata's headers and the member `signature` always take the UTF-8 bytes of the whole text, prefix
and all, as OpenMetadata does with its secretKey. These are made by the newest secret; `webhook-signature` holds one
signature for each secret that is alive, so that a receiver changes its secret at any time of the rotation.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from schemas.definitions.webhook import MASK
from schemas.signing import Container, Scheme, SignedRequest, mac, sign
from schemas.signing.standard import schemes

ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
_HEX = Scheme("openmetadata-hex", "sha256", "{body}", Container("prefix", "X-OpenMetadata-Signature", tag="sha256="))
_BASE64 = Scheme(
    "openmetadata", "sha256", "{body}", Container("prefix", "X-OM-Signature", tag="sha256=", encoding="base64")
)
_WHSEC = schemes("standardwebhooks", key="whsec-only")[0]
_RAW = replace(_WHSEC, key="utf8")
_MEMBER = re.compile(rb',"signature":"sha256=[0-9a-f]{64}"}')


def headers(secrets: Sequence[bytes], message_id: str, now_s: int, body: bytes) -> tuple[tuple[str, str], ...]:
    """Return the headers that prove a body, secrets newest first; without a secret its id and time alone."""
    told = ((ID, message_id),)
    usable = [secret for secret in secrets if secret]
    if not usable:
        return (*told, (TIMESTAMP, str(now_s)))
    request = SignedRequest("POST", "", told, body)
    standard = sign(_RAW, request, [_key(secret) for secret in usable], now_s)
    newest = usable[:1]
    return (*told, *standard, *sign(_HEX, request, newest, now_s), *sign(_BASE64, request, newest, now_s))


def member(secret: bytes, signed: bytes) -> bytes:
    """Return the value of a payload's member `signature`: `sha256=` and the HMAC of the bytes, in hex."""
    return b"sha256=" + mac.render(_HEX, mac.digest(_HEX, secret, [signed]))


def hidden(body: bytes) -> bytes:
    """Return a body as the log may keep it: without the values of its members `signature`."""
    return _MEMBER.sub(b',"signature":"' + MASK.encode() + b'"}', body)


def _key(secret: bytes) -> bytes:
    """Return the key bytes of Standard Webhooks: decoded where the text says so and can be, else the text's own."""
    return mac.key(_WHSEC, secret) or secret
