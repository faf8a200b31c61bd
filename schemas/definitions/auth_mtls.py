"""Client certificates: which of them prove a source (spec section 6). How they are checked: ingress/mtls.py."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from schemas.definitions.auth import Auth

MAX_RULES = 32
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?"
_DNS = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})+|{_LABEL}")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")


def _dns(value: str) -> str:
    name = value.lower().rstrip(".")
    if not _DNS.fullmatch(name):
        raise ValueError(f"{value!r} is no DNS name; `*.` may stand for one label at the left")
    return name


def _uri(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+", value):
        raise ValueError(f"{value!r} is no absolute URI; a `/*` at the end stands for all below it")
    return value


def _email(value: str) -> str:
    if not _EMAIL.fullmatch(value):
        raise ValueError(f"{value!r} is no email address")
    return value


Dns = Annotated[str, Field(min_length=1, max_length=253), AfterValidator(_dns)]
Uri = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(_uri)]
Email = Annotated[str, Field(min_length=3, max_length=320), AfterValidator(_email)]
Subject = Annotated[str, Field(min_length=3, max_length=1024)]


class MtlsAuth(Auth):
    """A client certificate that matches one of the rules, whichever list it stands in.

    subjects: names as of RFC 4514 (`CN=hooks,O=Vendor`), whose every attribute the certificate's subject has; dnsNames,
    uris, emails: subject alternative names. ca: PEM of the authorities of which one must have issued the certificate
    itself; without it, whom the listener trusts, or the proxy.
    """

    type: Literal["mtls"]
    subjects: tuple[Subject, ...] = Field(default=(), max_length=MAX_RULES)
    dns_names: tuple[Dns, ...] = Field(default=(), max_length=MAX_RULES)
    uris: tuple[Uri, ...] = Field(default=(), max_length=MAX_RULES)
    emails: tuple[Email, ...] = Field(default=(), max_length=MAX_RULES)
    ca: str | None = Field(default=None, max_length=65_536, pattern="-----BEGIN CERTIFICATE-----")

    @model_validator(mode="after")
    def _names_somebody(self) -> "MtlsAuth":
        if not (self.subjects or self.dns_names or self.uris or self.emails):
            raise ValueError("say whose certificate proves the sender: one of subjects, dnsNames, uris, emails")
        if self.secrets or self.tolerance_seconds is not None:
            raise ValueError("mtls has neither secrets nor toleranceSeconds")
        return self
