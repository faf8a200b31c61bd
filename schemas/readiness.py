"""What /readyz answers: the status to anyone, each check to whoever holds an API key.

Lives here: the answer. Not here: what is checked (each process), who serves it. Pure.
A check's text is "" when all is well; it may name hosts and objects, so strangers do not see it.
https://kubernetes.io/docs/reference/using-api/health-checks/
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from schemas.definitions.key import PREFIX, digest
from schemas.definitions.view import KeyView

OK, UNREADY = 200, 503
WELL = "ok"
MAX_HEADER = 300
Checks = Mapping[str, str]
"""What is wrong by check, "" = well; a check that is not named is well too."""


def answer(checks: Checks, *, detailed: bool) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and the body."""
    ready = not any(checks.values())
    body: dict[str, Any] = {"status": "ready" if ready else "unready"}
    if detailed:
        body["checks"] = {name: text or WELL for name, text in checks.items()}
    return OK if ready else UNREADY, body


def failed(checks: Callable[[], Checks]) -> Callable[[], dict[tuple[str, ...], float]]:
    """Return the checks as a metric: 1 by check that has failed."""
    return lambda: {(name,): float(bool(text)) for name, text in checks().items()}


def holds_key(authorization: Sequence[str], keys: Mapping[bytes, KeyView]) -> bool:
    """Tell whether the values of `Authorization` are one known API key, of any permission."""
    if len(authorization) != 1 or len(authorization[0]) > MAX_HEADER:
        return False
    scheme, _, text = authorization[0].partition(" ")
    text = text.strip()
    return scheme.lower() == "bearer" and text.startswith(PREFIX) and digest(text) in keys
