"""A secret's text read the way it is, and the ways in which it is pasted, stored or decoded wrongly.

Lives here: texts -> keys, each with what is wrong with it. Not here: whether one fits (search.py).
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from ingress.diagnosis.case import Secret
from ingress.diagnosis.causes import Cause, Finding
from schemas.signing import Scheme, mac, publickey
from schemas.signing.publickey import PublicKey
from schemas.vendors.base import TOKEN_PREFIX

_TOKEN = TOKEN_PREFIX.encode()
_VERSION = re.compile(rb"v[0-9]a?[,=: ]+", re.ASCII)
_NAMED = re.compile(rb"(?:export )?[A-Za-z_][A-Za-z0-9_]{2,63}[=:] ?", re.ASCII)
_MARKS = (b"whsec_", b"whpk_", b"whsk_")
_READINGS = {
    "utf8": "the text itself",
    "base64": "base64",
    "hex": "hex",
    "whsec": "base64 after whsec_",
    "whsec-only": "base64 after whsec_",
    "whpk": "base64 after whpk_",
    "spki": "a public key as PEM or base64",
}
_KINDS = (
    (re.compile(rb"[sr]k_(test|live)_"), "an API key of Stripe; the signing secret begins with whsec_"),
    (re.compile(rb"pk_(test|live)_"), "a publishable key of Stripe; the signing secret begins with whsec_"),
    (re.compile(rb"we_[A-Za-z0-9]{10}"), "the id of a Stripe endpoint; the signing secret begins with whsec_"),
    (re.compile(rb"xox[abpr]-|xapp-"), "a token of Slack; the signing secret stands under Basic Information"),
    (re.compile(rb"gh[opsur]_|github_pat_"), "an access token of GitHub; take the secret typed into the webhook"),
    (re.compile(rb"glpat-"), "an access token of GitLab; take the secret token typed into the webhook"),
    (re.compile(rb"shp(at|ca|pa)_"), "an access token of Shopify; take the app's client secret"),
    (re.compile(rb"SG\.[A-Za-z0-9_-]{10}"), "an API key of SendGrid; take the verification key of signed events"),
    (re.compile(rb"EAA[A-Za-z0-9]{20}"), "an access token of Meta; take the app secret"),
    (re.compile(rb"AC[0-9a-f]{32}$|SK[0-9a-f]{32}$"), "an SID of Twilio; take the Auth Token"),
    (re.compile(rb"hbk_"), "an API key of this server; take the secret that the sender signs with"),
    (re.compile(rb"https?://"), "a URL; take the secret that the sender signs with"),
    (re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY"), "a private key; only the sender holds that, take the public one"),
)


@dataclass(frozen=True, slots=True)
class Key:
    """A key to try; `wrong` None = the secret as it is."""

    secret: Secret
    made: bytes | PublicKey = field(repr=False)
    wrong: Finding | None = None


def plain(scheme: Scheme, secret: Secret) -> Iterator[Key]:
    """Yield the key of a secret as the scheme reads it; none when it cannot be used."""
    made = None if secret.value.startswith(_TOKEN) else _made(scheme, secret.value)
    if made is not None:
        yield Key(secret, made, _not_own(secret))


def misread(scheme: Scheme, secret: Secret) -> Iterator[Key]:
    """Yield the keys of a secret's text that was pasted or decoded wrongly."""
    seen: list[bytes | PublicKey] = [key.made for key in plain(scheme, secret)]
    for text, cause, detail in _texts(secret.value):
        made = _made(scheme, text)
        if made is not None and made not in seen:
            seen.append(made)
            yield Key(secret, made, Finding(cause, detail, True))
    if scheme.algorithm in publickey.ALGORITHMS:
        return
    for made, reading in _readings(secret.value):
        if made and made not in seen:
            seen.append(made)
            said = f"the sender takes the secret as {reading}, this scheme takes {_READINGS[scheme.key]}"
            detail = f"{said}: make both sides the same, or store the text that decodes to the sender's key"
            yield Key(secret, made, Finding(Cause.SECRET_ENCODING, detail, True))


def kind(secret: Secret) -> str | None:
    """Say what a secret's text seems to be when it is no signing secret; None when it may be one."""
    text = secret.value.strip()
    return next((words for pattern, words in _KINDS if pattern.match(text)), None)


def reading(scheme: Scheme) -> str:
    """Say in words how a scheme reads a secret's text."""
    return _READINGS[scheme.key]


def _made(scheme: Scheme, text: bytes) -> bytes | PublicKey | None:
    if scheme.algorithm in publickey.ALGORITHMS:
        return publickey.public(scheme, text) if text else None
    return mac.key(scheme, text)


def _not_own(secret: Secret) -> Finding | None:
    if secret.cause is None:
        return None
    if secret.cause is Cause.SECRET_REMOVED:
        detail = f"signed with {secret.whose}: give the sender the present secret, or add the old one again meanwhile"
    else:
        detail = f"signed with the secret of {secret.whose}: this is another environment's or endpoint's delivery, or "
        detail += "the secrets were exchanged; store the sender's secret here, or send to that source's URL"
    return Finding(secret.cause, detail, certain=True)


def _texts(text: bytes) -> Iterator[tuple[bytes, Cause, str]]:
    """Yield (another text, cause, words)."""
    again = "store the secret again"
    if text.strip() != text:
        detail = f"the stored secret begins or ends with white space or a line feed: {again} without it"
        yield text.strip(), Cause.SECRET_WHITESPACE, detail
    bare = text.strip().strip(b"\"'`")
    if bare != text.strip():
        yield bare, Cause.SECRET_PREFIX, f"the secret was stored with its quotation marks: {again} without them"
    for pattern, what in ((_NAMED, "the name of a variable"), (_VERSION, "a version mark (as in `v1,whsec_…`)")):
        found = pattern.match(bare)
        if found:
            rest = bare[found.end() :].strip(b"\"'`")
            yield rest, Cause.SECRET_PREFIX, f"the secret was pasted with {what} before it: {again} without that"
    yield from _marked(bare, again)
    if b"%" in text:
        yield unquote_to_bytes(text), Cause.SECRET_PREFIX, f"the secret is stored percent-encoded: {again} decoded"
    for end, name in ((b"\n", "a line feed"), (b"\r\n", "a CRLF"), (b" ", "a space")):
        detail = f"the sender's secret ends with {name} (read from a file?): strip it there"
        yield text + end, Cause.SECRET_WHITESPACE, detail
    for other, name in ((bare.lower(), "lower"), (bare.upper(), "upper")):
        if other != bare:
            yield other, Cause.SECRET_PREFIX, f"the sender has the secret in {name} case: {again} as the sender has it"


def _marked(bare: bytes, again: str) -> Iterator[tuple[bytes, Cause, str]]:
    """Yield the text with and without the mark that says what it is."""
    if bare.startswith(_TOKEN):
        detail = f"the secret is stored as a handshake's token ({TOKEN_PREFIX}…): {again} without that mark"
        yield bare[len(_TOKEN) :], Cause.SECRET_PREFIX, detail
    if bare.startswith(_MARKS):
        detail = f"the stored secret begins with {bare[: bare.index(b'_') + 1].decode()}, the sender's key does not"
        yield bare[bare.index(b"_") + 1 :], Cause.SECRET_PREFIX, f"{detail}: compare how both sides read it"
    else:
        for mark in _MARKS:
            detail = f"the secret was stored without its {mark.decode()}: {again} with it, as the vendor shows it"
            yield mark + bare, Cause.SECRET_PREFIX, detail


def _readings(text: bytes) -> Iterator[tuple[bytes, str]]:
    """Yield (key, how the text was read)."""
    bare = text.strip()
    rest = next((bare[len(mark) :] for mark in _MARKS if bare.startswith(mark)), bare)
    yield bare, "plain text"
    yield rest, "plain text"
    for decode, name in (
        (mac.unpadded, "base64"),
        (base64.urlsafe_b64decode, "base64url"),
        (binascii.unhexlify, "hex"),
    ):
        try:
            yield decode(rest), f"{name} text"
        except (binascii.Error, ValueError):
            continue
