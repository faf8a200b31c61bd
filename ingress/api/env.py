"""What the control plane needs of the process that runs it, as one frozen value; deploy builds it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ingress.jwks import KeySource, NoKeys
from ingress.rates import Rates
from schemas.backing.registry import Registry, SourceRecord, TopicRecord
from schemas.definitions.view import TopicView
from schemas.metrics import Metrics
from schemas.ports import CatalogReader, Clock, DeliveryReader, RegistryView, TableReader
from schemas.settings.processes import ApiSettings
from schemas.wire.pressure import Pressure

STATIC = Path(__file__).parent / "static"


class Waiting(Protocol):
    """Tells what waits for the stage; blocking. Implemented by schemas.backing.kafka.lags.Lags."""

    def waiting(self, raw_topics: Iterable[TopicView]) -> Mapping[tuple[str, int], int]:
        """Return records by (raw topic, partition); may raise while Kafka is away."""


class TopicsAdmin(Protocol):
    """Makes topics; blocking. Implemented by schemas.backing.kafka.Topics and tests' fakes."""

    def ensure_source_topics(self, source: SourceRecord) -> Sequence[TopicRecord]:
        """Create raw, event and quarantine topics, wait for leaders, return their TopicRecords."""

    def ensure_tenant_topics(self, tenant: str) -> Sequence[TopicRecord]:
        """Create ledger and table topics of a tenant, return their TopicRecords."""

    def ensure_run_topic(self, tenant: str, target: str) -> TopicRecord:
        """Create the run topic of a target, wait for leaders, return its TopicRecord."""

    def grow(self, topic: TopicRecord, partitions: int) -> TopicRecord:
        """Give a topic that many partitions, wait for their leaders; return it as it is then."""


@dataclass(frozen=True, slots=True)
class ApiEnv:
    """The world of one API process.

    `ready()` returns what is wrong by check, "" or nothing = ready. `random_bytes` makes request ids. `static` holds
    Swagger UI's files where `swagger_ui.fetch` put them; without them `/docs` says so. `keys`: the key sets of token
    issuers that are at hand. `receipt_key`: by which the doors' receipts are told.
    `pressures`: what was told lately of what waits of a source, by its id.
    `rates`: those of the data plane in the same process, so that a key has one bucket for both.
    """

    registry: Registry
    view: RegistryView
    topics: TopicsAdmin
    tables: TableReader
    deliveries: DeliveryReader
    catalog: CatalogReader
    clock: Clock
    metrics: Metrics
    settings: ApiSettings
    ready: Callable[[], Mapping[str, str]]
    random_bytes: Callable[[int], bytes] = field(repr=False)
    receipt_key: bytes = field(repr=False)
    keys: KeySource = field(default_factory=NoKeys)
    lags: Waiting | None = None
    pressures: Callable[[str], Sequence[Pressure]] = lambda _source_id: ()
    static: Path = STATIC
    rates: Rates = field(default_factory=Rates)
