"""Makes topics and asks for them: never by auto-creation, and never in use before all partitions have leaders (rule 2).

Lives here: admin calls, blocking, each with a deadline. What each kind of topic is configured with: layout.py.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
)

from schemas import topics as names
from schemas.backing.kafka import layout
from schemas.backing.kafka.config import client_config
from schemas.backing.kafka.errors import NOT_THERE, code, explained
from schemas.backing.kafka.ids import topic_id_text
from schemas.backing.kafka.layout import Wanted
from schemas.definitions.source import SourceDefinition
from schemas.definitions.view import TopicView
from schemas.errors import Refused, Transient
from schemas.reasons import Reason
from schemas.settings.processes import KafkaSettings

REQUEST_TIMEOUT_S = 10.0
_LEADERS_DEADLINE_S = 15.0
_LEADERS_POLL_S = 0.05
_EARLIEST = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]


_FROZEN = frozenset({names.Kind.WEBHOOK.value, names.Kind.EVENT.value, names.Kind.QUARANTINE.value})
"""Kinds whose partition count never changes (rule 4): it decides where equal ids meet."""


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """A topic as Kafka has it: id in its 22-character text form, partition count, whether all have leaders."""

    topic_id: str
    partitions: int
    led: bool


class SourceLike(Protocol):
    """What `ensure_source_topics` reads of a source; a SourceRecord is one."""

    @property
    def tenant_id(self) -> str | None:
        """Return the tenant."""

    @property
    def partitions(self) -> int:
        """Return the frozen partition count."""

    @property
    def definition(self) -> SourceDefinition:
        """Return the definition: platform and retention."""


class Topics:
    """The topics of one cluster. Thread-safe; blocking: async code calls it through a thread.

    All methods raise `Transient` (Kafka away or slow) and `Refused(broker_refused)` (it will not, with its words).
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._sleep = sleep
        self._monotonic = monotonic
        self._admin = AdminClient(client_config(settings))

    def ensure_source_topics(self, source: SourceLike) -> list[TopicView]:
        """Make a source's raw, event and quarantine topics and its tenant's own, wait for leaders; returns their views.

        A topic that exists keeps its settings; `Refused(topic_name_taken)` when it has another partition count or a
        raw one does not stamp records by the broker's clock (rule 3).
        """
        tenant = source.tenant_id or ""
        own = layout.of_source(tenant, source.definition, source.partitions)
        return self.ensure([*own, *layout.of_tenant(tenant, self._settings.topic_partitions)])

    def ensure_tenant_topics(self, tenant: str) -> list[TopicView]:
        """Make a tenant's ledger and table topics."""
        return self.ensure(layout.of_tenant(tenant, self._settings.topic_partitions))

    def ensure_run_topic(self, tenant: str, target: str) -> TopicView:
        """Make the run topic of a target, with the range of one group."""
        return self.ensure([layout.of_target(tenant, target, self._settings.topic_partitions)])[0]

    def grow(self, topic: TopicView, partitions: int) -> TopicView:
        """Give a topic that many partitions, wait for their leaders; one that has as many stays as it is."""
        with explained("adding partitions"):
            futures = self._admin.create_partitions(
                [NewPartitions(topic.name, partitions)], operation_timeout=REQUEST_TIMEOUT_S
            )
            _settle(futures, ignore={KafkaError.INVALID_PARTITIONS})
        found = self._led([topic.name], partitions)[topic.name]
        return replace(topic, topic_id=found.topic_id, partitions=found.partitions)

    def ensure_cluster_topics(self) -> list[TopicView]:
        """Make the topics of the whole cluster: pressure and ownership; they belong to no tenant."""
        return self.ensure(layout.of_cluster())

    def ensure(self, wanted: Sequence[Wanted]) -> list[TopicView]:
        """Make what is missing, check what is there, wait until every partition has a leader."""
        self._create(wanted)
        found = self._led([one.name for one in wanted])
        for one in wanted:
            self._check(one, found[one.name])
        self._check_clocks([one.name for one in wanted if one.kind == names.Kind.WEBHOOK])
        return [
            TopicView(
                one.name,
                found[one.name].topic_id,
                one.tenant,
                one.kind,
                one.platform,
                found[one.name].partitions,
                "",
                False,
                span=one.span,
            )
            for one in wanted
        ]

    def describe(self, wanted: Iterable[str]) -> dict[str, TopicInfo]:
        """Return the topics that exist, by name; the others are absent."""
        listed = sorted(set(wanted))
        if not listed:
            return {}
        found = {}
        with explained("describing topics"):
            futures = self._admin.describe_topics(TopicCollection(listed), request_timeout=REQUEST_TIMEOUT_S)
            for name, future in futures.items():
                try:
                    told = future.result(REQUEST_TIMEOUT_S)
                except KafkaException as exc:
                    if code(exc) in NOT_THERE:
                        continue
                    raise
                led = bool(told.partitions) and all(p.leader is not None and p.leader.id >= 0 for p in told.partitions)
                found[name] = TopicInfo(topic_id_text(told.topic_id), len(told.partitions), led)
        return found

    def offsets(
        self, partitions: Iterable[tuple[str, int]], at: Literal["earliest", "latest"] | int
    ) -> dict[tuple[str, int], int]:
        """Return the first, the next, or the first offset at a time (ms since the epoch) of each (topic, partition).

        `latest` is the end that read_committed readers see; a time after the last record gives the same.
        """
        asked = list(partitions)
        spec = _EARLIEST if at == "earliest" else _LATEST if at == "latest" else OffsetSpec.for_timestamp(int(at))
        found = self._list_offsets(asked, spec)
        late = [place for place, offset in found.items() if offset < 0]
        return {**found, **self._list_offsets(late, _LATEST)} if late else found

    def delete(self, wanted: Iterable[str]) -> None:
        """Delete topics; those that do not exist are passed over."""
        listed = sorted(set(wanted))
        if not listed:
            return
        with explained("deleting topics"):
            futures = self._admin.delete_topics(listed, operation_timeout=REQUEST_TIMEOUT_S)
            _settle(futures, ignore={KafkaError.UNKNOWN_TOPIC_OR_PART})

    def _create(self, wanted: Sequence[Wanted]) -> None:
        settings = self._settings
        new = [
            NewTopic(
                one.name,
                num_partitions=one.partitions,
                replication_factor=settings.replication_factor,
                config=layout.config(one, settings),
            )
            for one in wanted
        ]
        with explained("creating topics"):
            futures = self._admin.create_topics(new, operation_timeout=REQUEST_TIMEOUT_S)
            _settle(futures, ignore={KafkaError.TOPIC_ALREADY_EXISTS})

    def _led(self, wanted: Sequence[str], least: int = 1) -> dict[str, TopicInfo]:
        deadline = self._monotonic() + _LEADERS_DEADLINE_S
        while True:
            found = self.describe(wanted)
            missing = [name for name in wanted if not _is_led(found.get(name), least)]
            if not missing and self._served(found):
                return found
            if self._monotonic() > deadline:
                raise Transient(
                    f"no leader after {_LEADERS_DEADLINE_S:g} s for every partition of {', '.join(missing or wanted)}"
                )
            self._sleep(_LEADERS_POLL_S)

    def _served(self, found: Mapping[str, TopicInfo]) -> bool:
        """Ask every leader for its end: metadata names leaders a moment before they serve."""
        try:
            self._list_offsets([(name, p) for name, info in found.items() for p in range(info.partitions)], _LATEST)
        except Transient:
            return False
        return True

    def _check(self, wanted: Wanted, found: TopicInfo) -> None:
        if wanted.kind not in _FROZEN:
            return  # its readers ask how many there are; it may have grown, or been made under another setting
        if found.partitions != wanted.partitions:
            raise Refused(
                Reason.TOPIC_NAME_TAKEN,
                f"topic {wanted.name} exists with {found.partitions} partitions instead of {wanted.partitions}: the "
                "count is frozen; delete the topic, or use another name",
            )

    def _check_clocks(self, raw: Sequence[str]) -> None:
        resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in raw]
        if not resources:
            return
        with explained("reading topic settings"):
            futures = self._admin.describe_configs(resources, request_timeout=REQUEST_TIMEOUT_S)
            told = {resource.name: future.result(REQUEST_TIMEOUT_S) for resource, future in futures.items()}
        for name, entries in told.items():
            if entries[layout.TIMESTAMPS].value != layout.BROKER_CLOCK:
                raise Refused(
                    Reason.TOPIC_NAME_TAKEN,
                    f"topic {name} exists and was not made by us: set its {layout.TIMESTAMPS} to {layout.BROKER_CLOCK}",
                )

    def _list_offsets(self, partitions: Sequence[tuple[str, int]], spec: OffsetSpec) -> dict[tuple[str, int], int]:
        asked = {TopicPartition(topic, partition): spec for topic, partition in partitions}
        if not asked:
            return {}
        with explained("listing offsets"):
            futures = self._admin.list_offsets(
                asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=REQUEST_TIMEOUT_S
            )
            return {(p.topic, p.partition): int(f.result(REQUEST_TIMEOUT_S).offset) for p, f in futures.items()}


def _is_led(found: TopicInfo | None, least: int) -> bool:
    return found is not None and found.led and found.partitions >= least


def _settle(futures: Mapping[str, "Future[Any]"], *, ignore: set[int]) -> None:
    for future in futures.values():
        try:
            future.result(REQUEST_TIMEOUT_S)
        except KafkaException as exc:
            if code(exc) not in ignore:
                raise
