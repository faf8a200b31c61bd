"""Events on a real broker become rows of an Iceberg table: what arrives, what stops, what evolves."""

import json
from dataclasses import replace

from schemas.definitions.stream import State
from sinks.jobs.drop_table import drop
from tests.house.polling import wait_until
from tests.integration.sinks.world import World


def test_writes_every_committed_event_once(world: World) -> None:
    world.make_topic(world.topic)
    stream = world.stream()
    world.start()
    world.events([{"n": n, "who": {"name": f"x{n}"}} for n in range(500)])
    world.produce([b"aborted"], commit=False)
    world.events([{"n": n} for n in range(500, 600)], first=500)
    rows = world.wait_rows(stream, 600)
    assert sorted(row["payload"]["n"] for row in rows) == list(range(600))
    assert len({row["event_id"] for row in rows}) == 600
    wait_until(lambda: (s := world.states.by_id[stream.id]).lag_records == 0 and s.rows == 600)
    state = world.states.by_id[stream.id]
    assert state.state is State.RUNNING
    assert state.freshness_p50_s is not None
    assert state.snapshot_id is not None


def test_waits_for_a_topic_that_does_not_exist_yet(world: World) -> None:
    stream = world.stream()
    world.start()
    world.wait_state(stream, State.WAITING)
    world.make_topic(world.topic)
    world.events([{"n": 1}])
    world.wait_rows(stream, 1)
    assert world.states.by_id[stream.id].state is State.RUNNING


def test_stops_and_goes_on_without_touching_another_stream(world: World) -> None:
    world.make_topic(world.topic)
    first, other = world.stream("first"), world.stream("other")
    world.start()
    world.events([{"n": 1}])
    wait_until(lambda: world.rows(first) and world.rows(other), 20)
    world.put(replace(first, desired="stopped"))
    world.wait_state(first, State.STOPPED)
    world.events([{"n": 2}], first=1)
    world.wait_rows(other, 2)
    assert len(world.rows(first)) == 1
    world.put(replace(first, desired="running", generation=2))
    world.wait_rows(first, 2)


def test_adds_columns_and_keeps_what_does_not_fit(world: World) -> None:
    world.make_topic(world.topic)
    stream = world.stream()
    world.start()
    world.events([{"id": "a", "amount": 5}])
    world.wait_rows(stream, 1)
    odd = {"id": 7, "amount": 5.7, "new": {"deep": {"er": {"est": {"bottom": 1}}}}, "list": [{"x": 1}], "empty": []}
    world.events([odd], first=1)
    rows = world.wait_rows(stream, 2)
    row = max(rows, key=lambda row: row["_offset"])
    assert json.loads(row["_raw"]) == {"/id": 7, "/amount": 5.7}
    assert json.loads(row["_extra"]) == {"/empty": []}
    assert row["payload"]["new"]["deep"]["er"]["est"] == '{"bottom":1}'
    assert row["payload"]["list"] == '[{"x":1}]'


def test_refuses_a_table_of_someone_else(world: World) -> None:
    world.make_topic(world.topic)
    catalog = world.catalog()
    catalog.create_namespace(world.tenant)
    import pyarrow as pa

    catalog.create_table((world.tenant, "orders"), pa.schema([("mine", pa.string())]))
    stream = world.stream()
    world.start()
    state = world.wait_state(stream, State.FAILED)
    assert state.reason == "table_foreign"
    assert catalog.load_table((world.tenant, "orders")).schema().column_names == ["mine"]
    catalog.close()


def test_a_stream_made_anew_takes_the_table_once_it_is_dropped(world: World) -> None:
    world.make_topic(world.topic)
    first = world.stream()
    world.start()
    world.events([{"n": 0}])
    world.wait_rows(first, 1)
    snapshot = world.view.snapshot
    world.view.snapshot = replace(snapshot, streams={})
    second = world.stream()  # the same table, before the job has dropped it
    assert world.wait_state(second, State.FAILED).reason == "table_foreign"
    catalog = world.catalog()
    drop(catalog, {"namespace": world.tenant, "table": "orders", "streamId": first.id}, lambda _seconds: None)
    catalog.close()
    world.wait_state(second, State.RUNNING)
    world.events([{"n": 1}], first=1)
    assert sorted(row["payload"]["n"] for row in world.wait_rows(second, 2)) == [0, 1]


def test_selects_by_event_type_and_moves_on(world: World) -> None:
    world.make_topic(world.topic)
    stream = world.stream(eventTypes=["order.*"])
    world.start()
    from tests.integration.sinks.world import wire_event

    world.produce([wire_event(n, b'{"n":1}', kind=["order.paid", "push"][n % 2]) for n in range(10)])
    world.wait_rows(stream, 5)
    assert {row["event_type"] for row in world.rows(stream)} == {"order.paid"}


def test_two_members_share_the_tables_and_take_over(world: World) -> None:
    world.make_topic(world.topic)
    streams = [world.stream(f"s{n}") for n in range(6)]
    other = World(world.kafka["bootstrap.servers"], world.folder)
    other.tenant, other.topic = world.tenant, world.topic
    other.view, other.states = world.view, world.states
    world.start()
    other.start()
    try:
        world.events([{"n": 0}])
        for stream in streams:
            world.wait_rows(stream, 1)
    finally:
        world.stop()
    try:
        other.events([{"n": 1}], first=1)
        for stream in streams:
            rows = other.wait_rows(stream, 2)
            assert sorted(row["payload"]["n"] for row in rows) == [0, 1]
    finally:
        other.stop()
