"""What must hold of every history.

Each rule is a function that raises AssertionError in words; the queue's rows are judged by what receivers saw.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Table, select

from schemas.backing.registry import Registry
from schemas.backing.registry.outbound_tables import OUTBOUND_ATTEMPTS, OUTBOUND_DELIVERIES, OUTBOUND_EVENTS
from schemas.definitions.notification import Lane
from tests.simulation.notify.history import SETTINGS, History, events_of
from tests.simulation.notify.network import Seen
from tests.simulation.notify.process import FEED

TRIES = len(str(SETTINGS["notify_retry_s"]).split(",")) + 1


def check(made: History) -> None:
    """Judge a history by all rules."""
    rows = deliveries(made.registry)
    events = {row.sequence: row.event_id for row in _all(made, OUTBOUND_EVENTS)}
    _nothing_waits(made, rows)
    _taken_in_once(made, rows, events)
    _delivered_or_given_up(made, rows)
    _messages_never_change(made, rows, events)
    _order(made)
    _one_sender(made)
    _attempts(made, rows)


def deliveries(registry: Registry) -> Sequence[Row[Any]]:
    """Return all deliveries, oldest first."""
    with registry._database.read() as connection:
        return connection.execute(select(OUTBOUND_DELIVERIES).order_by(OUTBOUND_DELIVERIES.c.first_event)).all()


def _all(made: History, table: Table) -> Sequence[Row[Any]]:
    with made.registry._database.read() as connection:
        return connection.execute(select(table)).all()


def _nothing_waits(made: History, rows: Sequence[Row[Any]]) -> None:
    waits = [row.id for row in rows if row.state == "pending"]
    assert not waits, f"{len(waits)} deliveries wait for ever"
    assert made.registry.outbound.cursors().get(FEED) == len(made.story), "the feed is not read to its end"


def _taken_in_once(made: History, rows: Sequence[Row[Any]], events: dict[int, str]) -> None:
    """Every matched event is in exactly one delivery of each of its lanes, in its order, and no batch is too large."""
    found: dict[Lane, list[str]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.first_event):
        held = events_of(row.events)
        assert held == sorted(held), "a batch is out of order"
        assert len(held) <= made.batch[row.webhook_id], "a batch is too large"
        if row.kind == "event":
            found[Lane(row.webhook_id, row.receiver)] += [events[number] for number in held]
    for lane in made.endpoints:
        wanted = [matched.event.event_id for matched in made.story if lane in matched.lanes]
        assert found[lane] == wanted, f"{lane}: taken in are not exactly the events that it wants"


def _delivered_or_given_up(made: History, rows: Sequence[Row[Any]]) -> None:
    """`delivered` means that the receiver said so; what is given up is recorded as such."""
    for row in rows:
        seen = _seen(made, row)
        if row.state == "delivered":
            assert any(one.taken for one in seen), "recorded as delivered, but the receiver never took it"
        else:
            assert row.state in {"retryLimitReached", "canceled"}, row.state
            assert row.last_reason, "given up without a reason"
    if all(endpoint.healthy for endpoint in made.endpoints.values()):
        assert all(row.state == "delivered" for row in rows), "given up though the endpoint was always well"


def _messages_never_change(made: History, rows: Sequence[Row[Any]], events: dict[int, str]) -> None:
    """Every attempt under one id holds the same events, those of its row."""
    known = {row.id: tuple(events[number] for number in events_of(row.events)) for row in rows}
    for endpoint in made.endpoints.values():
        for one in endpoint.seen:
            assert known.get(one.message_id) == one.events, f"{one.message_id} was sent with other events"


def _order(made: History) -> None:
    """An endpoint that was always well hears of events in their order, whatever died meanwhile."""
    place = {matched.event.event_id: number for number, matched in enumerate(made.story)}
    for endpoint in made.endpoints.values():
        if not endpoint.healthy:
            continue
        heard = [place[event] for one in endpoint.seen for event in one.events if event in place]
        first = list(dict.fromkeys(heard))
        assert first == sorted(first), f"{endpoint.name} heard of events out of order"


def _one_sender(made: History) -> None:
    """Nothing is written by a holder after a later one has written."""
    assert made.epochs == sorted(made.epochs), "an older holder of the lease wrote after a newer one"
    assert made.network.most <= len(made.endpoints), "more requests at once than lanes"


def _attempts(made: History, rows: Sequence[Row[Any]]) -> None:
    """Attempts are numbered without gaps; nothing is tried more often than the schedule says."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for row in _all(made, OUTBOUND_ATTEMPTS):
        numbers[row.delivery_id].append(row.number)
    for row in rows:
        assert sorted(numbers[row.id]) == list(range(1, row.attempts + 1)), "attempts have gaps"
        if row.last_reason != "endpoint_gone":
            assert row.tries <= TRIES + 3, "tried more often than the schedule says"


def _seen(made: History, row: Row[Any]) -> list[Seen]:
    endpoint = made.endpoints[Lane(row.webhook_id, row.receiver)]
    return [one for one in endpoint.seen if one.message_id == row.id]
