"""The shapes of a signature scheme: data that says what is signed, how, and where the signature stands."""

from dataclasses import dataclass, field
from typing import Literal

from schemas.reasons import Reason

MAX_HEADER = 4096
MAX_CANDIDATES = 8
DEFAULT_TOLERANCE_S = 300


@dataclass(frozen=True, slots=True)
class Freshness:
    """Which timestamp is signed and how old it may be: equality at the limit is accepted."""

    source: Literal["header", "param"]
    name: str
    unit: Literal["s", "ms"] = "s"
    past_s: int = DEFAULT_TOLERANCE_S
    future_s: int = DEFAULT_TOLERANCE_S


@dataclass(frozen=True, slots=True)
class Container:
    """How the signature header is read.

    bare: the value alone; prefix: after `tag`; list: values separated by `separator`, each beginning with `tag`;
    kv: `name=value` pairs separated by `separator`, the signatures under `tag`, the timestamp under `timestamp`.
    """

    kind: Literal["bare", "prefix", "list", "kv"]
    header: str
    tag: str = ""
    separator: str = ","
    timestamp: str = ""
    encoding: Literal["hex", "base64"] = "hex"


@dataclass(frozen=True, slots=True)
class Scheme:
    """A MAC scheme. `message` is a template over bytes with the tokens {body}, {h.Name}, {p.name}, {method}, {url}."""

    name: str
    algorithm: Literal["sha256", "sha1", "sha512"]
    message: str
    container: Container
    key: Literal["utf8", "base64", "hex"] = "utf8"
    freshness: Freshness | None = None
    coverage: Literal["full", "partial", "none"] = "full"


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What a signature is checked over: all of it as received, `url` as the sender knew it."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | bytearray | memoryview = field(repr=False)


@dataclass(frozen=True, slots=True)
class Valid:
    """A signature matched; `secret` is the index of the secret."""

    secret: int


@dataclass(frozen=True, slots=True)
class Invalid:
    """None matched, or nothing could be read; `reason` is one of the 401 codes."""

    reason: Reason


Verdict = Valid | Invalid
