"""What one worker's requests share: ports, limits and counters, put together by app.py or by the API's process."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ingress.admission import Admission
from ingress.arrival import Arrival
from ingress.heads import Unfinished
from ingress.jwks import KeySets
from ingress.known import Known
from ingress.mtls import Clients
from ingress.overload.watch import Watch
from ingress.rates import Rates
from ingress.refusals import Refusals
from ingress.tally import Tally
from schemas.ports import Clock, Publisher, Registrar, RegistryView
from schemas.tracing import OFF, Tracer


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings that a request meets; bytes, seconds, bytes a second."""

    body_bytes: int
    body_grace_s: float
    body_min_rate: int


@dataclass(frozen=True, slots=True)
class Env:
    """One worker's surroundings. `random_bytes(n)` makes delivery ids; `receipt_key` authenticates receipts."""

    view: RegistryView
    publisher: Publisher
    registrar: Registrar
    tally: Tally
    refusals: Refusals
    admission: Admission
    clock: Clock
    limits: Limits
    default_tenant: str | None
    public_url: str
    random_bytes: Callable[[int], bytes]
    keys: KeySets
    overload: Watch
    receipt_key: bytes = field(repr=False)
    clients: Clients = field(default_factory=Clients)
    public_tls_url: str | None = None
    rates: Rates = field(default_factory=Rates)
    unfinished: Unfinished = field(default_factory=lambda: Unfinished(16 << 20))
    known: Known = field(default_factory=Known, repr=False)
    tracer: Tracer = OFF

    def base_url(self, arrival: Arrival) -> str:
        """Return how the sender of a request reached us: what some vendors sign begins with it."""
        if self.public_tls_url is None or arrival.link is None or not arrival.link.is_tls():
            return self.public_url
        return self.public_tls_url
