"""By which schemes and with which keys a source's senders prove themselves: its vendor's, or what its owner said.

Lives here: from a definition to schemes and keys. Not here: judging a request (authenticate.py, schemas/signing).
"""

from dataclasses import replace
from functools import lru_cache

from schemas.definitions.auth_free import FreeAuth
from schemas.definitions.view import SourceView
from schemas.signing import Scheme
from schemas.vendors import VENDORS
from schemas.vendors.base import TOKEN_PREFIX, Vendor

_TOKEN = TOKEN_PREFIX.encode()


def schemes_of(source: SourceView) -> tuple[Scheme, ...]:
    """Return the schemes that a source's senders may sign by; () where nothing is signed."""
    auth = source.definition.auth
    if isinstance(auth, FreeAuth):
        return (auth.scheme,)
    vendor = VENDORS.get(auth.type)
    return () if vendor is None else _tolerant(vendor, source)


def keys_of(source: SourceView) -> list[bytes]:
    """Return the secrets as the schemes take them; what is no key is empty, so that the others keep their places."""
    auth = source.definition.auth
    if isinstance(auth, FreeAuth):
        return [auth.key_of(secret.value) for secret in source.secrets]
    return [b"" if secret.value.startswith(_TOKEN) else secret.value for secret in source.secrets]


def _tolerant(vendor: Vendor, source: SourceView) -> tuple[Scheme, ...]:
    """Return the vendor's schemes with the source's own tolerance where it has one."""
    tolerance_s = source.definition.auth.tolerance_seconds
    return vendor.schemes if tolerance_s is None else _with_tolerance(vendor.schemes, tolerance_s)


@lru_cache(maxsize=1024)
def _with_tolerance(schemes: tuple[Scheme, ...], tolerance_s: int) -> tuple[Scheme, ...]:
    return tuple(
        scheme
        if scheme.freshness is None
        else replace(scheme, freshness=replace(scheme.freshness, past_s=tolerance_s, future_s=tolerance_s))
        for scheme in schemes
    )
