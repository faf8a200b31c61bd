"""Streams: a resolved definition, what is wanted of it, and the table it alone owns (spec section 5)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, insert, select, update

from schemas import names
from schemas.backing.registry.changes import diff
from schemas.backing.registry.objects.repository import Rim, alive, expect, find, page_of, taken
from schemas.backing.registry.record import Actor, Page, PageRequest, StreamRecord
from schemas.backing.registry.tables import STREAM_STATES, STREAMS
from schemas.definitions.stream import State, StreamDefinition
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.wire.change import FieldChange, Op

RUNNING = "running"
STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Streams:
    """The repository of streams; definitions come resolved (no `{tenantId}`)."""

    rim: Rim

    def create(self, tenant: str, definition: StreamDefinition, *, actor: Actor) -> StreamRecord:
        """Make a stream, stopped. Raises `Refused`: not_found (tenant), name_taken, table_taken, unsupported."""
        now = self.rim.now_ms()
        namespace, table = _table(tenant, definition)
        with self.rim.database.change() as connection:
            alive(connection, tenant)
            taken(connection, STREAMS, tenant, definition.name)
            _free(connection, namespace, table, split=definition.split_by != "none")
            row = connection.execute(
                insert(STREAMS)
                .values(
                    id=self.rim.new_id(),
                    tenant_id=tenant,
                    name=definition.name,
                    namespace=namespace,
                    table_name=table,
                    desired=STOPPED,
                    generation=0,
                    accept_loss=False,
                    definition=definition.model_dump_json(by_alias=True),
                    version=1,
                    created_at_ms=now,
                    updated_at_ms=now,
                )
                .returning(*STREAMS.c)
            ).one()
            self._log(connection, row, actor, Op.CREATED, diff(None, definition.to_wire()))
        return _record(row)

    def get(self, tenant: str, id_or_name: str) -> StreamRecord:
        """Return a stream; raises `Refused(not_found)`."""
        with self.rim.database.read() as connection:
            return _record(find(connection, STREAMS, tenant, id_or_name))

    def list(self, tenant: str, page: PageRequest) -> Page[StreamRecord]:
        """Return the streams of a tenant by name."""
        query = select(STREAMS).where(STREAMS.c.tenant_id == tenant)
        with self.rim.database.read() as connection:
            return page_of(connection, query, STREAMS.c.name, STREAMS.c.id, page, _record)

    def update(
        self, tenant: str, stream_id: str, definition: StreamDefinition, *, if_match: int | None = None, actor: Actor
    ) -> StreamRecord:
        """Replace a definition. Raises `Refused`: not_found, precondition_failed, name_taken, immutable."""
        with self.rim.database.change() as connection:
            row = find(connection, STREAMS, tenant, stream_id)
            expect(row, if_match)
            taken(connection, STREAMS, tenant, definition.name, but=row.id)
            if _table(tenant, definition) != (row.namespace, row.table_name):
                raise Refused(Reason.IMMUTABLE, "targetTable cannot change: make another stream")
            if definition.split_by != _definition(row).split_by:
                raise Refused(Reason.IMMUTABLE, "splitBy cannot change: make another stream")
            if definition.layout != _definition(row).layout:
                raise Refused(Reason.IMMUTABLE, "layout cannot change: the table's columns have their names by it")
            if definition.column_names != _definition(row).column_names:
                raise Refused(Reason.IMMUTABLE, "columnNames cannot change: make another stream")
            keys_stay(_definition(row), definition)
            fields = diff(_definition(row).to_wire(), definition.to_wire())
            if not fields:
                return _record(row)
            text = definition.model_dump_json(by_alias=True)
            row = self._set(connection, row, name=definition.name, definition=text)
            self._log(connection, row, actor, Op.UPDATED, fields)
        return _record(row)

    def delete(self, tenant: str, stream_id: str, *, if_match: int | None = None, actor: Actor) -> None:
        """Remove a stream and its state; the table is not touched. Raises `Refused`: not_found, precondition_failed."""
        with self.rim.database.change() as connection:
            row = find(connection, STREAMS, tenant, stream_id)
            expect(row, if_match)
            connection.execute(delete(STREAM_STATES).where(STREAM_STATES.c.stream_id == row.id))
            connection.execute(delete(STREAMS).where(STREAMS.c.id == row.id))
            self._log(connection, row, actor, Op.DELETED, diff(_definition(row).to_wire(), None))

    def set_desired(
        self,
        tenant: str,
        stream_id: str,
        desired: Literal["running", "stopped"],
        *,
        restart: bool = False,
        accept_loss: bool = False,
        actor: Actor,
    ) -> StreamRecord:
        """Say what is wanted; idempotent. A start, a restart and a start after a failure begin a new generation.

        `accept_loss` holds for that generation only (rule 17). Raises `Refused(not_found)`.
        """
        with self.rim.database.change() as connection:
            row = find(connection, STREAMS, tenant, stream_id)
            begins = desired == RUNNING and (
                restart or accept_loss or row.desired != RUNNING or _failed(connection, row)
            )
            if not begins and row.desired == desired:
                return _record(row)
            values = {
                "desired": desired,
                "generation": row.generation + begins,
                "accept_loss": accept_loss if begins else row.accept_loss,
            }
            fields = [
                FieldChange(f"/{name}", getattr(row, name), value)
                for name, value in values.items()
                if getattr(row, name) != value
            ]
            row = self._set(connection, row, **values)
            self._log(connection, row, actor, Op.UPDATED, fields)
        return _record(row)

    def _set(self, connection: Connection, row: Row[Any], **values: Any) -> Row[Any]:  # noqa: ANN401 columns
        changed = update(STREAMS).where(STREAMS.c.id == row.id)
        changed = changed.values(version=row.version + 1, updated_at_ms=self.rim.now_ms(), **values)
        return connection.execute(changed.returning(*STREAMS.c)).one()

    def _log(self, connection: Connection, row: Row[Any], actor: Actor, op: Op, fields: Iterable[FieldChange]) -> None:
        entity = ("stream", row.id, row.name)
        self.rim.changes.append(connection, actor, entity, op, tenant=row.tenant_id, version=row.version, fields=fields)


def _table(tenant: str, definition: StreamDefinition) -> tuple[str, str]:
    if definition.target_table is None:
        raise Refused(Reason.UNSUPPORTED, "targetTable is missing: name the Iceberg table, for example `slack_events`")
    return names.namespace(tenant, definition.target_table)


def _free(connection: Connection, namespace: str, table: str, *, split: bool) -> None:
    """Raise `Refused(table_taken)` when the table is another stream's, or may be one of a type's (sinks/split)."""
    query = select(STREAMS.c.name, STREAMS.c.table_name, STREAMS.c.definition).where(STREAMS.c.namespace == namespace)
    for row in connection.execute(query):
        if row.table_name == table:
            raise Refused(Reason.TABLE_TAKEN, f"stream {row.name!r} owns table {namespace}.{table}")
        if split and row.table_name.startswith(f"{table}_"):
            raise Refused(
                Reason.TABLE_TAKEN,
                f"table {namespace}.{row.table_name} of stream {row.name!r} has a name as this stream's tables have it",
            )
        if table.startswith(f"{row.table_name}_") and _split(row.definition):
            raise Refused(
                Reason.TABLE_TAKEN, f"tables {namespace}.{row.table_name}_... are those of stream {row.name!r}"
            )


def _split(definition: str) -> bool:
    return StreamDefinition.model_validate_json(definition).split_by != "none"


def _failed(connection: Connection, row: Row[Any]) -> bool:
    query = select(STREAM_STATES.c.state).where(
        STREAM_STATES.c.stream_id == row.id, STREAM_STATES.c.generation == row.generation
    )
    return bool(connection.execute(query).scalar() == State.FAILED.value)


def _definition(row: Row[Any]) -> StreamDefinition:
    return StreamDefinition.model_validate_json(row.definition)


def _record(row: Row[Any]) -> StreamRecord:
    return StreamRecord(
        id=row.id,
        tenant_id=row.tenant_id,
        name=row.name,
        version=row.version,
        created_at_ms=row.created_at_ms,
        updated_at_ms=row.updated_at_ms,
        definition=_definition(row),
        desired=row.desired,
        generation=row.generation,
        accept_loss=row.accept_loss,
    )


def keys_stay(before: StreamDefinition, after: StreamDefinition) -> None:
    """Raise `Refused(immutable)` where rows that are there would be versions of other things than new ones."""
    if before.write_mode != after.write_mode:
        raise Refused(Reason.IMMUTABLE, "writeMode cannot change: the table's rows have keys or have none")
    if before.write_mode == "upsert" and before.primary_key != after.primary_key:
        raise Refused(
            Reason.IMMUTABLE, "primaryKey cannot change: rows that are there have the old key; make another stream"
        )
    if before.write_mode == "upsert" and before.sequence_field != after.sequence_field:
        raise Refused(
            Reason.IMMUTABLE,
            "sequenceField cannot change: rows that are there have the old sequence; make another stream",
        )
