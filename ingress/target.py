"""The source that a request is for, and everything about it that is the same for the next request by this address.

Lives here: the shape, and what is worked out from it once: schemes, keys, the fixed part of a raw record. Targets are
kept for one snapshot of the registry (resolve.py), so a request of a known address pays none of it.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from ingress import redact
from ingress.redact import Carriers
from ingress.schemes import keys_of, schemes_of
from schemas.definitions.auth_jwt import TokenAuth
from schemas.definitions.auth_mtls import MtlsAuth
from schemas.definitions.view import KeyView, SourceView
from schemas.signing import Prepared, Scheme
from schemas.vendors.base import Vendor
from schemas.wire import raw
from schemas.wire.raw import Overrides

Proof = Literal["token", "certificate", "url", "key", "signature"]
_WITHOUT: dict[str, Proof] = {"url": "url", "none": "key"}
_NONE = Overrides()


@dataclass(frozen=True)
class Target:
    """The source a request is for, and what of the request bears on it; `path` is fit to be stored."""

    source: SourceView
    vendor: Vendor
    path: str
    key: KeyView | None = None
    url_id: str | None = None
    overrides: Overrides = _NONE
    object_only: bool = False

    @cached_property
    def schemes(self) -> tuple[Scheme, ...]:
        """Return the schemes that the source's senders may sign by; () where nothing is signed."""
        return schemes_of(self.source)

    @cached_property
    def prepared(self) -> tuple[Prepared, ...]:
        """Return the same schemes with the source's secrets, ready to judge requests."""
        return tuple([Prepared(scheme, self.keys) for scheme in self.schemes])

    @cached_property
    def proof(self) -> Proof:
        """Return what its senders prove themselves by."""
        auth = self.source.definition.auth
        if isinstance(auth, TokenAuth):
            return "token"
        if isinstance(auth, MtlsAuth):
            return "certificate"
        return _WITHOUT.get(auth.type, "signature")

    @cached_property
    def is_self_evident(self) -> bool:
        """Tell whether a request proves itself: no key set, no certificate, no body to look into."""
        return not self.object_only and self.proof not in {"token", "certificate"}

    @cached_property
    def keys(self) -> list[bytes]:
        """Return the source's secrets as the schemes take them."""
        return keys_of(self.source)

    @cached_property
    def carriers(self) -> Carriers:
        """Return where an API key of the source stands, which is never kept."""
        return redact.carriers(self.source.definition.auth)

    @cached_property
    def stencil(self) -> raw.Stencil:
        """Return the fixed headers of its raw records."""
        return raw.Stencil(self.source.id, self.source.tenant, "POST", self.path, self.overrides)
