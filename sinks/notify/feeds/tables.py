"""From a record of `{tenant}.table` to the event "table advanced"; pure.

Lives here: what of a table's new snapshot is told, and who listens to such records. Not here: reading them (topics.py).
The event's id is the record's own: one that is sent again is the same event.
"""

from schemas.definitions.view import TopicView
from schemas.topics import Kind
from schemas.wire.entity_event import Delta, Description, EntityEvent, EventType
from schemas.wire.table import Advanced, decode
from sinks.notify.match.facts import SNAPSHOT, TABLE
from sinks.notify.match.tenant import Matcher

FEED = "tables"
SYSTEM_TAG = "Hookberg.System"
"""The tag of tables that belong to no stream (quarantine, ledger), so that `exclude` can name it."""
USER = "system"


def listens(topic: TopicView, matcher: Matcher) -> int | None:
    """Return the time in ms from which a tenant's webhooks want a topic's records; None: they want none."""
    return matcher.snapshots_since_ms if topic.kind == Kind.TABLE else None


def read(tenant: str, value: bytes) -> tuple[EntityEvent, int]:
    """Return the event of a record and when it came to be; raises `Poison(bad_record)`."""
    record = decode(value)
    return event_of(tenant, record), record.committed_at_ms


def event_of(tenant: str, record: Advanced) -> EntityEvent:
    """Return the event of a table's commit."""
    snapshot = {
        "snapshotId": str(record.snapshot_id),
        "rows": record.rows,
        "addedRows": record.added_rows,
        "newestEventTime": record.newest_event_time_ms,
    }
    name = f"{record.namespace}.{record.table}"
    stream = record.stream_id
    tags = [] if stream is not None else [{"tagFQN": SYSTEM_TAG}]
    return EntityEvent(
        event_id=record.id,
        tenant_id=tenant,
        event_type=EventType.UPDATED,
        entity_type=TABLE,
        entity_id=record.table_uuid,
        entity_name=name,
        at_ms=record.committed_at_ms,
        entity={
            "id": record.table_uuid,
            "type": TABLE,
            "name": record.table,
            "fullyQualifiedName": name,
            "href": None if stream is None else f"/api/v1/streams/{stream}/table",
            "version": record.sequence_number,
            "updatedAt": record.committed_at_ms,
            "updatedBy": USER,
            "deleted": False,
            "streamId": stream,
            "tags": tags,
            SNAPSHOT: snapshot,
        },
        change=Description(updated=(Delta(SNAPSHOT, None, snapshot),)),
        user=USER,
    )
