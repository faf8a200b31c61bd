"""Auth said by the user and not by a vendor's preset: free-form HMAC, bearer and basic credentials, API keys.

Each is data that becomes a `Scheme`, so one engine judges presets and these alike (schemas/signing). Not here: which
secret matched, nor what to say to a sender that was refused (ingress/authenticate.py).
"""

import base64
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, model_validator

from schemas.definitions.auth import Auth
from schemas.definitions.base import Definition
from schemas.signing import template
from schemas.signing.scheme import DEFAULT_TOLERANCE_S, Container, Freshness, Scheme

Header = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
"""A header's name (RFC 9110 section 5.6.2)."""
Parameter = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.-]+$")]
_TIMESTAMP = "{timestamp}"
_SOURCES: Mapping[str, Literal["header", "param", "body"]] = {"header": "header", "parameter": "param", "body": "body"}


class HmacContainer(Definition):
    """How the header is read: `bare`, after a `prefix`, a `list`, or `kv` pairs with the signatures under `key`."""

    kind: Literal["bare", "prefix", "list", "kv"] = "bare"
    prefix: str = Field(default="", max_length=64)
    separator: str = Field(default=",", pattern=r"^[^A-Za-z0-9+/=]{1,4}$")
    key: str = Field(default="v1", min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")

    @model_validator(mode="after")
    def _can_be_taken_apart(self) -> "HmacContainer":
        if self.kind == "list" and self.separator in self.prefix:
            raise ValueError("the separator of a list stands in its prefix: no signature could be told from the next")
        return self


class HmacTimestamp(Definition):
    """Where the signed time stands: a header, a parameter of the signature header (`kv`), a member of the body."""

    source: Literal["header", "parameter", "body"]
    name: Header
    unit: Literal["s", "ms", "iso"] = "s"


class FreeAuth(Auth):
    """The base of what becomes a scheme."""

    @cached_property
    def scheme(self) -> Scheme:
        """Return what the engine judges by."""
        raise TypeError("every type says its own")

    def key_of(self, secret: bytes) -> bytes:
        """Return a secret's text as the scheme takes it."""
        return secret

    @model_validator(mode="after")
    def _no_time(self) -> "FreeAuth":
        if self.tolerance_seconds is not None and self.scheme.freshness is None:
            raise ValueError("toleranceSeconds needs a signed time: hmac with timestamp")
        return self


class HmacAuth(FreeAuth):
    """An HMAC over what `message` says: text with {body}, {timestamp}, {method}, {url}, {h.Name}, {p.name}.

    A time must be signed to count: `timestamp` says where it stands and `toleranceSeconds` (300) how old it may be.
    """

    type: Literal["hmac"]
    algorithm: Literal["sha256", "sha1", "sha512"] = "sha256"
    key_encoding: Literal["utf8", "hex", "base64", "whsec"] = "utf8"
    message: str = Field(default="{body}", min_length=1, max_length=512)
    header: Header
    container: HmacContainer = HmacContainer()
    encoding: Literal["hex", "base64"] = "hex"
    timestamp: HmacTimestamp | None = None

    @model_validator(mode="after")
    def _can_be_judged(self) -> "HmacAuth":
        said, odd = self.timestamp, template.odd(self.message.replace(_TIMESTAMP, ""))
        if odd:
            tokens = "{body}, {timestamp}, {method}, {url}, {h.Name}, {p.name}"
            raise ValueError(f"message: {odd!r} is no token; there are {tokens}")
        if said is None and _TIMESTAMP in self.message:
            raise ValueError("message names {timestamp}: say in timestamp where it stands")
        if said is None:
            return self
        if said.source == "parameter" and self.container.kind != "kv":
            raise ValueError("a timestamp that is a parameter needs a container of kind kv")
        own = self.container.key if said.source == "parameter" else self.header.lower()
        if said.source != "body" and said.name.lower() == own.lower():
            raise ValueError("the timestamp stands where the signature stands: give its own name")
        if said.source == "body" and _TIMESTAMP in self.message:
            raise ValueError("a timestamp in the body is signed with {body}: leave {timestamp} out of message")
        if self._time_token.lower() not in self._message.lower():
            raise ValueError("the timestamp is not in message: a time that is not signed proves nothing")
        return self

    @cached_property
    def scheme(self) -> Scheme:
        """Return what the engine judges by."""
        said, box, tolerance_s = self.timestamp, self.container, self.tolerance_seconds or DEFAULT_TOLERANCE_S
        return Scheme(
            name="hmac",
            algorithm=self.algorithm,
            message=self._message,
            container=Container(
                box.kind,
                self.header,
                tag=box.key if box.kind == "kv" else "" if box.kind == "bare" else box.prefix,
                separator=box.separator,
                timestamp=said.name if said is not None and said.source == "parameter" else "",
                encoding=self.encoding,
            ),
            key=self.key_encoding,
            freshness=None
            if said is None
            else Freshness(_SOURCES[said.source], said.name, said.unit, past_s=tolerance_s, future_s=tolerance_s),
            coverage="full" if "{body}" in self.message else "none",
        )

    @property
    def _time_token(self) -> str:
        if self.timestamp is None or self.timestamp.source == "body":
            return "{body}"
        return f"{{{'h' if self.timestamp.source == 'header' else 'p'}.{self.timestamp.name}}}"

    @property
    def _message(self) -> str:
        return self.message.replace(_TIMESTAMP, self._time_token)


class BearerAuth(FreeAuth):
    """A shared token in `Authorization: Bearer …` (RFC 6750)."""

    type: Literal["bearer"]

    @cached_property
    def scheme(self) -> Scheme:
        """Return what the engine judges by."""
        return _token("bearer", Container("credentials", "Authorization", tag="Bearer"))


class BasicAuth(FreeAuth):
    """A user name with a password, the source's secret, in `Authorization: Basic …` (RFC 7617, UTF-8)."""

    type: Literal["basic"]
    username: str = Field(min_length=1, max_length=255, pattern=r"^[^:\x00-\x1f\x7f]+$")

    @cached_property
    def scheme(self) -> Scheme:
        """Return what the engine judges by."""
        return _token("basic", Container("credentials", "Authorization", tag="Basic"))

    def key_of(self, secret: bytes) -> bytes:
        """Return user name and password as they are sent; nothing for an empty password."""
        return base64.b64encode(self.username.encode() + b":" + secret) if secret else b""


class ApiKeyAuth(FreeAuth):
    """A shared text in a header, after `prefix` where there is one, or in a query parameter; never stored with it."""

    type: Literal["apiKey"]
    header: Header | None = None
    query: Parameter | None = None
    prefix: str = Field(default="", max_length=64)

    @model_validator(mode="after")
    def _stands_somewhere(self) -> "ApiKeyAuth":
        if (self.header is None) == (self.query is None):
            raise ValueError("say where the key stands: one of header and query")
        if self.query is not None and self.prefix:
            raise ValueError("prefix is for a header")
        return self

    @cached_property
    def scheme(self) -> Scheme:
        """Return what the engine judges by."""
        if self.query is not None:
            return _token("apiKey", Container("query", self.query))
        return _token("apiKey", Container("prefix" if self.prefix else "bare", self.header or "", tag=self.prefix))


def _token(name: str, container: Container) -> Scheme:
    return Scheme(name=name, algorithm="token", message="", container=container, coverage="none")
