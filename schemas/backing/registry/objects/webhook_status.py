"""The status of a webhook: what `enabled` makes of it, and what its deliveries do."""

from typing import Any

import orjson
from sqlalchemy import Connection, select, update

from schemas.backing.registry.objects.repository import Rim
from schemas.backing.registry.objects.webhook_record import definition_of, stored
from schemas.backing.registry.outbound_tables import WEBHOOKS
from schemas.backing.registry.record import SYSTEM
from schemas.definitions.notification import FailureDetails
from schemas.definitions.webhook import WebhookStatus
from schemas.wire.change import FieldChange, Op


def of(*, enabled: bool) -> WebhookStatus:
    """Return the status of a webhook that begins, or begins anew."""
    return WebhookStatus.ACTIVE if enabled else WebhookStatus.DISABLED


def put(
    rim: Rim, connection: Connection, webhook_id: str, status: WebhookStatus, failure: FailureDetails | None
) -> bool:
    """Write what deliveries came to, in the caller's transaction; tell whether the status changed.

    Another status is a change (revision, ETag; no version of the entity). What differs is written under the lock of all
    changes, which is taken here: call it before rows of other tables are locked, or in `Database.change`. `disabled`
    (410) sets `enabled` false. A webhook that is disabled, deleted or gone stays as it is: only `enabled` begins anew.
    """
    query = select(WEBHOOKS).where(WEBHOOKS.c.id == webhook_id)
    told = None if failure is None else orjson.dumps(failure.to_wire()).decode()
    row = connection.execute(query).first()
    if row is not None and (row.status, row.failure) != (status.value, told):
        rim.database.serialise(connection)
        row = connection.execute(query).first()
    if row is None or row.deleted or row.status == WebhookStatus.DISABLED.value:
        return False
    values: dict[str, Any] = {} if told == row.failure else {"failure": told}
    fields = []
    if row.status != status.value:
        values |= {"status": status.value, "version": row.version + 1}
        fields.append(FieldChange("/status", row.status, status.value))
        if status is WebhookStatus.DISABLED:
            values["definition"] = stored(definition_of(row).model_copy(update={"enabled": False}))
            fields.append(FieldChange("/enabled", old=True, new=False))
    if values:
        connection.execute(update(WEBHOOKS).where(WEBHOOKS.c.id == row.id).values(**values))
    if fields:
        entity = ("webhook", row.id, row.name)
        version = row.version + 1
        rim.changes.append(connection, SYSTEM, entity, Op.UPDATED, tenant=row.tenant_id, version=version, fields=fields)
    return bool(fields)
