"""Asks the diagnosis about a source's refused request: which schemes, which secrets, which budget.

Lives here: from a source's view to a case. Not here: the tries themselves (diagnosis/), which run in a thread of the
caller's. A token is explained by what it says; a certificate or an API key by its reason alone.
"""

from collections.abc import Sequence

from ingress.diagnosis import MAX_SECRETS, Budget, Case, Finding, Secret, cheap, diagnose, tokens
from ingress.schemes import keys_of, schemes_of
from schemas.definitions.auth_free import FreeAuth
from schemas.definitions.auth_jwt import TokenAuth
from schemas.definitions.view import SourceView
from schemas.signing import SignedRequest

CHEAP_BODY = 16 << 10
"""A refusal that nobody asked about is explained up to this size of its body."""


def explain(
    source: SourceView,
    request: SignedRequest,
    now_s: float,
    *,
    public_url: str,
    others: Sequence[Secret] = (),
    budget: Budget | None = None,
) -> tuple[Finding, ...]:
    """Return why a request is refused at `now_s`, the likeliest cause first; () when it is not, or nothing is signed.

    Blocks for what `budget` allows (default: the cheap one).
    """
    auth = source.definition.auth
    if isinstance(auth, TokenAuth):
        return tokens.explain(auth, request, now_s)
    schemes = schemes_of(source)
    if not schemes:
        return ()
    known = (*own(source), *others)[:MAX_SECRETS]
    case = Case(source.platform, schemes, request, known, now_s, public_url)
    return diagnose(case, budget or cheap())


def own(source: SourceView) -> tuple[Secret, ...]:
    """Return a source's secrets as the diagnosis reads them: what users typed, handshakes' tokens included."""
    free = isinstance(source.definition.auth, FreeAuth)
    values = keys_of(source) if free else [secret.value for secret in source.secrets]
    return tuple(Secret(value) for value in values if value)
