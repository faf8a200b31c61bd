"""Roles: assignments of a role, or of a glob over roles, to a target; a target's topic is made with its first one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from schemas import names, topics
from schemas.backing.registry.changes import diff
from schemas.backing.registry.objects.repository import Rim, alive, expect, find, page_of, taken
from schemas.backing.registry.objects.topics import reserve
from schemas.backing.registry.record import Actor, Page, PageRequest, Record
from schemas.backing.registry.tables import ROLES
from schemas.definitions.role import IMMUTABLE, MAX_ASSIGNMENTS, MAX_RUNS, RoleDefinition, most_runs
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.wire.change import FieldChange, Op

_MAX_NAME = 63


@dataclass(frozen=True, slots=True)
class RoleRecord(Record[RoleDefinition]):
    """An assignment; `open`: every partition of its target's topic has had a leader, so that it is in effect."""

    open: bool

    @property
    def topic(self) -> str:
        """Return the run topic's name."""
        return topics.run(self.tenant_id or "", self.definition.target)


@dataclass(frozen=True, slots=True)
class Roles:
    """The repository of assignments."""

    rim: Rim

    def create(self, tenant: str, definition: RoleDefinition, *, actor: Actor) -> RoleRecord:
        """Make an assignment, without effect until `set_open`.

        Raises `Refused`: not_found (tenant), name_taken (also: this role has this target), topic_name_taken,
        too_many_roles.
        """
        now = self.rim.now_ms()
        with self.rim.database.change() as connection:
            alive(connection, tenant)
            others = connection.execute(select(ROLES).where(ROLES.c.tenant_id == tenant)).all()
            _bounded(definition, others)
            name = definition.name or _free_name(definition, {row.name for row in others})
            taken(connection, ROLES, tenant, name)
            reserve(connection, topics.run(tenant, definition.target))
            kept = definition.model_copy(update={"name": name})
            row = connection.execute(
                insert(ROLES)
                .values(
                    id=self.rim.new_id(),
                    tenant_id=tenant,
                    name=name,
                    role=kept.role,
                    target=kept.target,
                    open=False,
                    definition=kept.model_dump_json(by_alias=True),
                    version=1,
                    created_at_ms=now,
                    updated_at_ms=now,
                )
                .returning(*ROLES.c)
            ).one()
            self._log(connection, row, actor, Op.CREATED, diff(None, kept.to_wire()))
        return _record(row)

    def get(self, tenant: str, id_or_name: str) -> RoleRecord:
        """Return an assignment; raises `Refused(not_found)`."""
        with self.rim.database.read() as connection:
            return _record(find(connection, ROLES, tenant, id_or_name))

    def list(self, tenant: str, page: PageRequest, target: str | None = None) -> Page[RoleRecord]:
        """Return the assignments of a tenant by name; to one target, or all."""
        query = select(ROLES).where(ROLES.c.tenant_id == tenant)
        if target is not None:
            query = query.where(ROLES.c.target == target)
        with self.rim.database.read() as connection:
            return page_of(connection, query, ROLES.c.name, ROLES.c.id, page, _record)

    def all(self, tenant: str) -> tuple[RoleRecord, ...]:
        """Return the assignments of a tenant by id: a bounded number."""
        query = select(ROLES).where(ROLES.c.tenant_id == tenant).order_by(ROLES.c.id)
        with self.rim.database.read() as connection:
            return tuple(_record(row) for row in connection.execute(query))

    def update(
        self, tenant: str, role_id: str, definition: RoleDefinition, *, if_match: int | None = None, actor: Actor
    ) -> RoleRecord:
        """Replace name and description. Raises `Refused`: not_found, precondition_failed, name_taken, immutable."""
        with self.rim.database.change() as connection:
            row = find(connection, ROLES, tenant, role_id)
            expect(row, if_match)
            kept = definition.model_copy(update={"name": definition.name or row.name})
            before, after = _record(row).definition.to_wire(), kept.to_wire()
            for member in IMMUTABLE:
                if before[member] != after[member]:
                    raise Refused(Reason.IMMUTABLE, f"{member} of an assignment never changes: make another one")
            taken(connection, ROLES, tenant, str(kept.name), but=row.id)
            fields = diff(before, after)
            if not fields:
                return _record(row)
            changed = update(ROLES).where(ROLES.c.id == row.id)
            changed = changed.values(
                name=kept.name,
                definition=kept.model_dump_json(by_alias=True),
                version=row.version + 1,
                updated_at_ms=self.rim.now_ms(),
            )
            row = connection.execute(changed.returning(*ROLES.c)).one()
            self._log(connection, row, actor, Op.UPDATED, fields)
        return _record(row)

    def set_open(self, tenant: str, role_id: str, *, actor: Actor) -> RoleRecord:
        """Put an assignment into effect: its topic's partitions have leaders. Once open, nothing is written."""
        with self.rim.database.change() as connection:
            row = find(connection, ROLES, tenant, role_id)
            if not row.open:
                opened = update(ROLES).where(ROLES.c.id == row.id).values(open=True).returning(*ROLES.c)
                row = connection.execute(opened).one()
                self._log(connection, row, actor, Op.UPDATED, (FieldChange("/open", old=False, new=True),))
        return _record(row)

    def delete(self, tenant: str, role_id: str, *, if_match: int | None = None, actor: Actor) -> None:
        """Remove an assignment; its target's topic stays. Raises `Refused`: not_found, precondition_failed."""
        with self.rim.database.change() as connection:
            row = find(connection, ROLES, tenant, role_id)
            expect(row, if_match)
            connection.execute(delete(ROLES).where(ROLES.c.id == row.id))
            self._log(connection, row, actor, Op.DELETED, diff(_record(row).definition.to_wire(), None))

    def _log(self, connection: Connection, row: Row[Any], actor: Actor, op: Op, fields: Iterable[FieldChange]) -> None:
        entity = ("role", row.id, row.name)
        self.rim.changes.append(connection, actor, entity, op, tenant=row.tenant_id, version=row.version, fields=fields)


def _bounded(definition: RoleDefinition, others: Sequence[Row[Any]]) -> None:
    """Refuse the same assignment twice, and one more than the bounds of definitions/role.py allow."""
    for row in others:
        if (row.role, row.target) == (definition.role, definition.target):
            raise Refused(Reason.NAME_TAKEN, f"role {row.name!r} assigns {row.role!r} to {row.target!r} already")
    if len(others) >= MAX_ASSIGNMENTS:
        raise Refused(Reason.TOO_MANY_ROLES, f"the tenant has {len(others)} assignments, as many as it may")
    if (most := most_runs([*(row.role for row in others), definition.role])) > MAX_RUNS:
        raise Refused(
            Reason.TOO_MANY_ROLES,
            f"an event could meet {most} assignments, and makes {MAX_RUNS} runs at most: delete one that takes the "
            "same events, or name the source kind, as in `webhook.github.*`",
        )


def _free_name(definition: RoleDefinition, used: set[str]) -> str:
    """Return a name made of role and target that no other assignment of the tenant has."""
    base = names.slug(f"{definition.role.removeprefix('webhook.')}_{definition.target}").replace("_", "-")
    base = base[:_MAX_NAME].rstrip("-")
    if base not in used:
        return base
    tails = (f"-{number}" for number in range(2, len(used) + 3))
    return next(made for tail in tails if (made := f"{base[: _MAX_NAME - len(tail)]}{tail}") not in used)


def _record(row: Row[Any]) -> RoleRecord:
    return RoleRecord(
        id=row.id,
        tenant_id=row.tenant_id,
        name=row.name,
        version=row.version,
        created_at_ms=row.created_at_ms,
        updated_at_ms=row.updated_at_ms,
        definition=RoleDefinition.model_validate_json(row.definition),
        open=row.open,
    )
