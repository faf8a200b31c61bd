"""Topics that the registry made, their worker groups, and the names that are spoken for.

Lives here: rows only; creating topics in Kafka: backing/kafka. A raw topic's group is chosen once and never moves; a
group holds topics of one partition count (rule 11).
"""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from schemas.backing.registry.changes import diff
from schemas.backing.registry.objects.repository import Rim, alive
from schemas.backing.registry.record import Actor, TopicRecord
from schemas.backing.registry.tables import SOURCES, TOPIC_NAMES, TOPICS
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.topics import Kind
from schemas.wire.change import Op

_RANGED = frozenset({Kind.LEDGER.value, Kind.RUN.value})
"""Kinds that hold a range of partitions for each group of the tenant, and grow (rules 4 and 9)."""


@dataclass(frozen=True, slots=True)
class Topics:
    """The repository of topics; `groups` is how many worker groups new raw topics are spread over."""

    rim: Rim
    groups: int

    def put(self, topic: TopicRecord, *, actor: Actor) -> TopicRecord:
        """Store a topic as Kafka has it, with its group and slot if it is raw; the same again writes nothing.

        Raises `Refused`: topic_name_taken (Kafka cannot tell it from another), immutable (another partition count),
        not_found (its tenant is gone).
        """
        with self.rim.database.change() as connection:
            alive(connection, topic.tenant)
            reserve(connection, topic.name)
            row = connection.execute(select(TOPICS).where(TOPICS.c.name == topic.name)).first()
            stored = self._insert(connection, topic) if row is None else _moved(connection, _record(row), topic)
            before = None if row is None else _record(row)
            if stored != before:
                fields = diff(None if before is None else _wire(before), _wire(stored))
                op = Op.CREATED if before is None else Op.UPDATED
                entity = ("topic", topic.name, topic.name)
                self.rim.changes.append(connection, actor, entity, op, tenant=topic.tenant, fields=fields)
        return stored

    def get(self, name: str) -> TopicRecord:
        """Return a topic; raises `Refused(not_found)`."""
        with self.rim.database.read() as connection:
            row = connection.execute(select(TOPICS).where(TOPICS.c.name == name)).first()
        if row is None:
            raise Refused(Reason.NOT_FOUND, f"no topic {name[:80]!r}")
        return _record(row)

    def list(self, tenant: str | None = None) -> tuple[TopicRecord, ...]:
        """Return the topics of a tenant, or all, by name."""
        query = select(TOPICS).order_by(TOPICS.c.name)
        if tenant is not None:
            query = query.where(TOPICS.c.tenant_id == tenant)
        with self.rim.database.read() as connection:
            return tuple(_record(row) for row in connection.execute(query))

    def short(self, tenant: str) -> tuple[tuple[TopicRecord, int], ...]:
        """Return the ledger and run topics that lack a range for a group of the tenant, with the partitions wanted.

        Rule 4: they grow by one range when a group first gets a topic of the tenant.
        """
        rows = self.list(tenant)
        groups = 1 + max((row.slot for row in rows if row.kind == Kind.WEBHOOK), default=0)
        wanted = [(row, row.span * groups) for row in rows if row.kind in _RANGED]
        return tuple((row, partitions) for row, partitions in wanted if row.partitions < partitions)

    def _insert(self, connection: Connection, topic: TopicRecord) -> TopicRecord:
        stored = topic
        if topic.kind == Kind.WEBHOOK:
            group = choose_group(connection, self.groups, topic.partitions)
            stored = replace(topic, group=group, slot=_slot(connection, topic.tenant, group))
        connection.execute(
            insert(TOPICS).values(
                name=stored.name,
                topic_id=stored.topic_id,
                tenant_id=stored.tenant,
                kind=stored.kind,
                platform=stored.platform,
                partitions=stored.partitions,
                group_name=stored.group,
                paused=stored.paused,
                slot=stored.slot,
                span=stored.span,
            )
        )
        return stored


def choose_group(connection: Connection, groups: int, partitions: int) -> str:
    """Return the least loaded group that holds no topic of another partition count; raise `Refused(unsupported)`."""
    query = (
        select(TOPICS.c.group_name, func.count().label("n"), func.min(TOPICS.c.partitions).label("partitions"))
        .where(TOPICS.c.kind == Kind.WEBHOOK.value)
        .group_by(TOPICS.c.group_name)
    )
    held = {row.group_name: (row.n, row.partitions) for row in connection.execute(query)}
    fitting = [str(g) for g in range(groups) if held.get(str(g), (0, partitions))[1] == partitions]
    if not fitting:
        raise Refused(
            Reason.UNSUPPORTED,
            f"every worker group holds topics of another partition count than {partitions}: raise HOOKBERG_GROUPS, "
            "or set HOOKBERG_TOPIC_PARTITIONS to the count in use",
        )
    return min(fitting, key=lambda name: (held.get(name, (0, 0))[0], int(name)))


def _slot(connection: Connection, tenant: str, group: str) -> int:
    """Return the number that a group has among those of a tenant: the next one when it is new there."""
    query = select(TOPICS.c.group_name, TOPICS.c.slot).where(
        TOPICS.c.kind == Kind.WEBHOOK.value, TOPICS.c.tenant_id == tenant
    )
    held = {row.group_name: row.slot for row in connection.execute(query)}
    return int(held.get(group, 1 + max(held.values(), default=-1)))


def reserve(connection: Connection, *wanted: str) -> None:
    """Take topic names for ever; raise `Refused(topic_name_taken)` for one that Kafka takes for another's."""
    for name in wanted:
        seen_as = name.replace(".", "_")
        row = connection.execute(select(TOPIC_NAMES.c.name).where(TOPIC_NAMES.c.metric_name == seen_as)).first()
        if row is None:
            connection.execute(insert(TOPIC_NAMES).values(metric_name=seen_as, name=name))
        elif row.name != name:
            raise Refused(
                Reason.TOPIC_NAME_TAKEN,
                f"topic {name} cannot stand beside {row.name}: '.' and '_' are the same to Kafka; use another name",
            )


def partitions_of(connection: Connection, topic: str, wanted: int) -> int:
    """Return the partition count of a raw topic that exists or that another source was promised, else `wanted`."""
    for query in (
        select(TOPICS.c.partitions).where(TOPICS.c.name == topic),
        select(SOURCES.c.partitions).where(SOURCES.c.topic == topic),
    ):
        found = connection.execute(query.limit(1)).scalar()
        if found is not None:
            return int(found)
    return wanted


def pause(connection: Connection, topic: str, *, paused: bool) -> None:
    """Set whether a raw topic is processed; nothing when it has no row yet."""
    connection.execute(update(TOPICS).where(TOPICS.c.name == topic).values(paused=paused))


def _moved(connection: Connection, old: TopicRecord, new: TopicRecord) -> TopicRecord:
    if old.partitions != new.partitions and old.kind not in _RANGED:
        raise Refused(
            Reason.IMMUTABLE,
            f"topic {old.name} has {new.partitions} partitions in Kafka and {old.partitions} here: the count is frozen",
        )
    stored = replace(new, group=old.group, slot=old.slot, span=old.span or new.span)
    if stored != old:
        kept = {"topic_id": stored.topic_id, "paused": stored.paused, "partitions": stored.partitions}
        connection.execute(update(TOPICS).where(TOPICS.c.name == old.name).values(**kept, span=stored.span))
    return stored


def _wire(topic: TopicRecord) -> dict[str, Any]:
    return {
        "topicId": topic.topic_id,
        "partitions": topic.partitions,
        "group": topic.group,
        "paused": topic.paused,
    }


def _record(row: Row[Any]) -> TopicRecord:
    return TopicRecord(
        row.name,
        row.topic_id,
        row.tenant_id,
        row.kind,
        row.platform,
        row.partitions,
        row.group_name,
        row.paused,
        row.slot,
        row.span,
    )
