"""What people ask of the notify process: a test event, a delivery again, all failed ones again.

Lives here: the rows of the asking side, each with its row in the log of changes, in one transaction. The lease's holder
takes them, oldest first, and deletes each in the transaction that does it (queue.py).

| kind | arguments |
|---|---|
| test | `deliveryId`: the id that the test's delivery will have |
| resend | `deliveryId` |
| resendFailed | `states`, `sinceMs`, `untilMs` (null: none), `limit`: the oldest so many, by when they were made |
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Row, func, insert, select

from schemas.backing.registry.changes import diff
from schemas.backing.registry.objects.repository import Rim
from schemas.backing.registry.outbound import log
from schemas.backing.registry.outbound_tables import OUTBOUND_REQUESTS
from schemas.backing.registry.record import Actor
from schemas.definitions.notification import DeliveryState, RequestKind
from schemas.errors import Overloaded, Refused
from schemas.reasons import Reason
from schemas.wire.change import Op

MAX_WAITING = 100
"""Requests of one webhook that wait for the notify process."""
MAX_RESENT = 10_000
"""Deliveries that one request sends again."""
RETRY_AFTER_S = 5


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was taken: `matching` deliveries were found, `resending` of them will be sent again."""

    id: str
    matching: int
    resending: int


def test(rim: Rim, tenant: str, webhook_id: str, *, actor: Actor) -> str:
    """Ask for a test event; return the id that its delivery will have.

    Raises `Refused`: not_found, webhook_disabled; `Overloaded` while `MAX_WAITING` requests of the webhook wait.
    """
    delivery_id = rim.new_id()
    with rim.database.change() as connection:
        row = _open(connection, tenant, webhook_id)
        _ask(rim, connection, row, RequestKind.TEST, {"deliveryId": delivery_id}, actor)
    return delivery_id


def resend(rim: Rim, tenant: str, webhook_id: str, delivery_id: str, *, actor: Actor) -> None:
    """Ask for a delivery again, whatever became of it, under its id; raises as `test`."""
    with rim.database.change() as connection:
        log.delivery_of(connection, tenant, webhook_id, delivery_id)
        row = _open(connection, tenant, webhook_id)
        _ask(rim, connection, row, RequestKind.RESEND, {"deliveryId": delivery_id}, actor)


def resend_failed(
    rim: Rim,
    tenant: str,
    webhook_id: str,
    states: Collection[DeliveryState],
    since_ms: int,
    until_ms: int | None = None,
    *,
    actor: Actor,
) -> Asked:
    """Ask for all deliveries in these states that were made in the time, at most `MAX_RESENT`; raises as `test`."""
    wanted = sorted({state.value for state in states})
    arguments = {"states": wanted, "sinceMs": since_ms, "untilMs": until_ms, "limit": MAX_RESENT}
    with rim.database.change() as connection:
        row = _open(connection, tenant, webhook_id)
        found = log.matching(connection, webhook_id, states, since_ms, until_ms)
        asked = _ask(rim, connection, row, RequestKind.RESEND_FAILED, arguments, actor)
    return Asked(asked, found, min(found, MAX_RESENT))


def _open(connection: Connection, tenant: str, webhook_id: str) -> Row[Any]:
    row = log.webhook_of(connection, tenant, webhook_id)
    if row.deleted:
        raise Refused(Reason.NOT_FOUND, "this webhook is deleted: restore it first")
    if not orjson.loads(row.definition).get("enabled", True):
        raise Refused(Reason.WEBHOOK_DISABLED, "set `enabled` to true first: nothing is sent meanwhile")
    return row


def _ask(
    rim: Rim, connection: Connection, row: Row[Any], kind: RequestKind, arguments: Mapping[str, Any], actor: Actor
) -> str:
    waiting = select(func.count()).where(OUTBOUND_REQUESTS.c.webhook_id == row.id)
    if connection.execute(waiting).scalar_one() >= MAX_WAITING:
        raise Overloaded(Reason.OVERLOADED_REQUESTS, RETRY_AFTER_S)
    request_id = rim.new_id()
    connection.execute(
        insert(OUTBOUND_REQUESTS).values(
            id=request_id,
            tenant_id=row.tenant_id,
            webhook_id=row.id,
            kind=kind.value,
            arguments=orjson.dumps(dict(arguments)).decode(),
            created_at_ms=rim.now_ms(),
        )
    )
    told = {"webhookId": row.id, "kind": kind.value, **arguments}
    entity = ("webhookRequest", request_id, row.name)
    rim.changes.append(connection, actor, entity, Op.CREATED, tenant=row.tenant_id, fields=diff(None, told))
    return request_id
