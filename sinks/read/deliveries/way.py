"""The way of one delivery as the API shows it: accepted -> decided, item by item -> committed, table by table.

Lives here: the members of the answer. Pure: no Kafka, no table is asked here.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from schemas.wire.position import Position
from sinks.read.deliveries.commits import Landed
from sinks.read.deliveries.facts import Facts, FirstCopy, InTable, Item, instant, items

_US = 1_000_000
_TOOK = {Landed.COMMITTED, Landed.EXPIRED}


def wire(facts: Facts, first: int, limit: int) -> dict[str, Any]:
    """Return the answer, items from number `first` on, `limit` at most."""
    at = facts.position
    found = [] if at is None else items(at.offset, facts.record, facts.cleans)
    shown = [item for item in found if item.number >= first]
    return {
        "deliveryId": facts.delivery_id,
        "state": _state(facts, found),
        "accepted": _accepted(facts),
        "decided": _decided(facts, found),
        "items": [_item(item, facts) for item in shown[:limit]],
        "nextItem": shown[limit].number if len(shown) > limit else None,
        "tables": _tables(facts),
        "incomplete": bool(facts.why),
        "why": list(facts.why),
    }


def _state(facts: Facts, found: Sequence[Item]) -> str | None:
    """Return pending, decided or committed; None where it cannot be told.

    `committed`: every table that takes an item of the delivery has committed it, and there is one; so it stays when
    retention has removed the rows, which each table says.
    """
    if facts.decided is None and not found:
        return None
    if not found:
        return "pending"
    states = {one.taken.state for tables in facts.tables.values() for one in tables}
    if Landed.PENDING in states or not states & _TOOK:
        return "decided"
    return "committed"


def _accepted(facts: Facts) -> dict[str, Any] | None:
    at, stored = facts.position, facts.stored
    if at is None:
        return None
    place = {"topicId": at.topic_id, "partition": at.partition, "offset": at.offset}
    if stored is None:
        return {"position": place, "kept": False, "source": facts.source}
    meta = stored.meta
    return {
        "position": place,
        "kept": True,
        "topic": stored.topic,
        "source": facts.source,
        "receivedAt": instant(meta.received_at_us),
        "storedAt": instant(stored.stored_ms * 1000),
        "bytes": stored.size,
        "method": meta.method,
        "path": meta.path,
        "query": meta.query,
        "headers": [list(pair) for pair in meta.headers],
        "auth": {"scheme": meta.auth.scheme, "coverage": meta.auth.coverage, "secretId": meta.auth.secret_id},
        "eventKey": meta.event_id,
        "traceparent": meta.traceparent,
        "shed": meta.shed,
        "redriveOf": None
        if meta.redrive is None
        else {
            "topicId": meta.redrive.topic_id,
            "partition": meta.redrive.partition,
            "offset": meta.redrive.offset,
            "job": meta.redrive.job,
            "items": list(meta.redrive.items),
        },
    }


def _decided(facts: Facts, found: Sequence[Item]) -> dict[str, Any] | None:
    record = facts.record
    if record is None and not found:
        ahead, since = facts.behind, facts.stored
        if facts.decided is not False:
            return None
        waiting = None if since is None else max(0.0, facts.now_ms - since.stored_ms) / 1000
        return {
            "at": None,
            "group": None,
            "outcomes": {},
            "lag": {"records": ahead, "seconds": waiting, "desired": "paused" if facts.paused else "running"},
        }
    outcomes = Counter(item.outcome for item in found)
    return {
        "at": None if record is None else instant(record.decided_at_us),
        "group": None if record is None else record.group,
        "outcomes": dict(sorted(outcomes.items())),
        "lag": None,
    }


def _item(item: Item, facts: Facts) -> dict[str, Any]:
    made: dict[str, Any] = {
        "item": item.number,
        "outcome": item.outcome,
        "eventId": item.event_id,
        "eventType": None,
        "vendorEventId": None,
        "schema": None,
        "reason": item.reason,
        "pointer": None,
        "message": None,
        "duplicateOf": None,
        "resolved": None,
        "tables": [_in_table(one, facts) for one in facts.tables.get(item.number, ())],
    }
    at = facts.position
    if item.clean is not None:
        clean = item.clean
        made |= {"eventType": clean.event_type, "vendorEventId": clean.vendor_event_id, "schema": clean.schema}
    if (failed := facts.failed.get(item.number)) is not None:
        made |= {
            "eventType": failed.event_type, "vendorEventId": failed.vendor_event_id, "schema": failed.schema,
            "pointer": failed.pointer, "message": failed.message,
        }  # fmt: skip
    if item.of is not None and at is not None:
        copy = facts.firsts.get((item.of.partition, item.of.offset), FirstCopy())
        made["duplicateOf"] = {
            "position": Position(at.topic_id, item.of.partition, item.of.offset, item.of.item).to_wire(),
            "deliveryId": copy.delivery_id,
            "receivedAt": instant(copy.received_at_us),
        }
    if (resolved := facts.resolved.get(item.number)) is not None:
        made["resolved"] = {
            "by": resolved.by.to_wire(),
            "at": instant(resolved.at_us),
            "deliveryId": resolved.delivery_id,
            "tables": [_in_table(one, facts) for one in resolved.tables],
        }
    return made


def _in_table(one: InTable, facts: Facts) -> dict[str, Any]:
    taken = one.taken
    commit = taken.commit
    snapshot_id = commit.snapshot_id if commit is not None else one.snapshot_id
    return {
        "stream": one.stream,
        "table": one.table,
        "state": taken.state.value,
        "snapshotId": None if snapshot_id is None else str(snapshot_id),
        "committedAt": None if commit is None else instant(commit.at_ms * 1000),
        "committedBefore": None if taken.before_ms is None else instant(taken.before_ms * 1000),
        "expiredBefore": None if taken.expired_before_ms is None else instant(taken.expired_before_ms * 1000),
        "lag": _lag(one, facts) if taken.state is Landed.PENDING else None,
    }


def _lag(one: InTable, facts: Facts) -> dict[str, Any]:
    decided_us = None if facts.record is None else facts.record.decided_at_us
    waiting = None if decided_us is None else max(0.0, facts.now_ms / 1000 - decided_us / _US)
    return {"records": one.taken.lag, "seconds": waiting, "desired": one.desired}


def _tables(facts: Facts) -> list[dict[str, Any]]:
    """Sum up by table, in the order of the first item that names it."""
    by_table: dict[str, list[InTable]] = {}
    for number in sorted(facts.tables):
        for one in facts.tables[number]:
            by_table.setdefault(one.table, []).append(one)
    made = []
    for table, many in by_table.items():
        states = Counter(one.taken.state.value for one in many)
        snapshots: dict[str, dict[str, Any]] = {}
        for one in many:
            shown = _in_table(one, facts)
            if one.taken.state is Landed.COMMITTED and shown["snapshotId"] is not None:
                kept = snapshots.setdefault(
                    shown["snapshotId"],
                    {name: shown[name] for name in ("snapshotId", "committedAt", "committedBefore")} | {"items": 0},
                )
                kept["items"] += 1
        pending = [one for one in many if one.taken.state is Landed.PENDING]
        cuts = [one.taken.expired_before_ms for one in many if one.taken.expired_before_ms is not None]
        made.append(
            {
                "stream": many[0].stream,
                "streamId": many[0].stream_id,
                "table": table,
                "items": dict(sorted(states.items())),
                "snapshots": list(snapshots.values()),
                "expiredBefore": instant(max(cuts) * 1000) if cuts else None,
                "lag": _lag(pending[-1], facts) if pending else None,
            }
        )
    return made
