"""The shapes of a signature scheme: data that says what is signed, how, and where the signature stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from schemas.reasons import Reason

MAX_HEADER = 4096
MAX_CANDIDATES = 8
DEFAULT_TOLERANCE_S = 300

Coverage = Literal["full", "partial", "none"]
"""What the proof covers of an item: all its bytes; only some of them or of its delivery; none."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """Which timestamp is signed and how old it may be: equality at the limit is accepted.

    `name` is a header, a parameter of the signature header, or a top-level member of a JSON body.
    """

    source: Literal["header", "param", "body"]
    name: str
    unit: Literal["s", "ms", "iso"] = "s"
    past_s: int = DEFAULT_TOLERANCE_S
    future_s: int = DEFAULT_TOLERANCE_S


@dataclass(frozen=True, slots=True)
class Container:
    """How the signature header is read.

    bare: the value alone; prefix: after `tag`; list: values separated by `separator`, each beginning with `tag`;
    kv: `name=value` pairs separated by `separator`, the signatures under `tag`, the timestamp under `timestamp`;
    credentials: after the name of an HTTP authentication scheme, in any case (RFC 9110 section 11.4);
    query: no header but a parameter of the query string, its name in `header`.
    """

    kind: Literal["bare", "prefix", "list", "kv", "credentials", "query"]
    header: str
    tag: str = ""
    separator: str = ","
    timestamp: str = ""
    encoding: Literal["hex", "base64"] = "hex"


@dataclass(frozen=True, slots=True)
class InItems:
    """A signature inside each item of the body: every item must verify, and there must be one.

    `path` leads to the items (`/value/*`), `signature` and `fields` from an item on; the MAC is over the fields joined
    by `separator`. Without fields the signature is the secret itself.
    """

    path: str
    signature: str
    fields: tuple[str, ...] = ()
    separator: str = ":"


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a request is proved.

    `message` is a template over bytes with the tokens {body}, {item0}, {params}, {method}, {url}, {h.Name}, {p.name}.
    algorithm: HMACs by their hash; sha256concat = SHA-256 of the key followed by the message; token = the signature is
    the key. key: how a secret's text becomes the key: whsec/whpk are Standard Webhooks' texts (whsec-only: the prefix
    must be there), spki a public key as PEM or base64 DER. urls: forms of the URL that senders sign (urls.py).
    when: headers that a request must have with this value; None = must not have.
    """

    name: str
    algorithm: Literal["sha256", "sha1", "sha512", "sha256concat", "ed25519", "ecdsa-p256", "token"]
    message: str
    container: Container
    key: Literal["utf8", "base64", "hex", "whsec", "whsec-only", "whpk", "spki"] = "utf8"
    freshness: Freshness | None = None
    coverage: Coverage = "full"
    items: InItems | None = None
    urls: Literal["exact", "ports", "hubspot"] = "exact"
    when: tuple[tuple[str, str | None], ...] = ()

    @property
    def stands_in(self) -> str:
        """Say in words where the proof stands."""
        if self.items is not None:
            return f"the member {self.items.signature} of each item"
        kind = "query parameter" if self.container.kind == "query" else "header"
        return f"the {kind} {self.container.header}"


class SignedRequest(msgspec.Struct, frozen=True, gc=False):
    """What a signature is checked over: all of it as received, `url` as the sender knew it.

    `by_name`: the same headers by lower-case name, the first value wins; given by who has them, else `headers` are
    searched, which only signing and diagnosis need beside it.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | bytearray | memoryview
    by_name: Mapping[str, str] | None = None

    def __repr__(self) -> str:
        """Show what is no secret: a URL may be a credential, so may headers and body."""
        return f"SignedRequest(method={self.method!r}, headers={len(self.headers)}, body={len(self.body)})"


class Valid(msgspec.Struct, frozen=True, gc=False):
    """A signature matched; `secret` is the index of the secret, `coverage` what it covers of the first item."""

    secret: int
    coverage: Coverage = "full"


class Invalid(msgspec.Struct, frozen=True, gc=False):
    """None matched, or nothing could be read; `reason` is one of the 401 codes."""

    reason: Reason


Verdict = Valid | Invalid
