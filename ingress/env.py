"""What one worker's requests share: ports, limits and counters, put together by app.py or by the API's process."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ingress.admission import Admission
from ingress.tally import Tally
from schemas.ports import Clock, Publisher, Registrar, RegistryView


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
    admission: Admission
    clock: Clock
    limits: Limits
    default_tenant: str | None
    public_url: str
    random_bytes: Callable[[int], bytes]
    receipt_key: bytes = field(repr=False)
