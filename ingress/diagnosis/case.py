"""What is asked of the diagnosis, and what it may cost.

Lives here: the request with the secrets that may explain it, and the budget that bounds all tries. Nothing of a secret
is ever in a finding: words name a secret by its source.
"""

from dataclasses import dataclass, field

from ingress.diagnosis.causes import Cause
from schemas.signing import Scheme, SignedRequest

MAX_SECRETS = 24
"""Own secrets, those removed of late and those of other sources, together."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that may have been used. `cause` None: it is the source's own and right; `whose` says whose it is."""

    value: bytes = field(repr=False)
    whose: str = "this source"
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A refused request: `schemes` of its source (not empty), its secrets first, others after them.

    `public_url` is the address that the server believes it has, without a path.
    """

    platform: str
    schemes: tuple[Scheme, ...]
    request: SignedRequest
    secrets: tuple[Secret, ...]
    now_s: float
    public_url: str = ""

    @property
    def own(self) -> tuple[Secret, ...]:
        """Return the source's own secrets."""
        return tuple(secret for secret in self.secrets if secret.cause is None)

    @property
    def others(self) -> tuple[Secret, ...]:
        """Return the secrets that would explain a mismatch."""
        return tuple(secret for secret in self.secrets if secret.cause is not None)


@dataclass(slots=True)
class Budget:
    """How many signatures may be computed, over how many bytes, and how large a body is encoded anew."""

    tries: int = 1_500
    bytes: int = 256 << 20
    reencoded: int = 256 << 10
    spent: bool = False
    used: int = 0

    def take(self, size: int) -> bool:
        """Take one try over `size` bytes; False when nothing is left, and from then on."""
        if self.spent or self.tries < 1 or self.bytes < size:
            self.spent = True
            return False
        self.tries -= 1
        self.bytes -= size
        self.used += 1
        return True


def cheap() -> Budget:
    """Return the budget of a refusal that nobody asked about."""
    return Budget(tries=300, bytes=4 << 20, reencoded=16 << 10)
