"""A split stream on a real Kafka: one consumer, a table a type, on over a restart."""

import json
from functools import partial

from schemas.definitions.stream import State
from tests.house.polling import wait_until
from tests.integration.sinks.world import World, wire_event

KINDS = ("track", "identify", "page", "order.paid")


def produce(world: World, first: int, count: int) -> None:
    world.produce(
        [
            wire_event(n, json.dumps({"n": n}).encode(), tenant=world.tenant, kind=KINDS[n // 2 % len(KINDS)])
            for n in range(first, first + count)
        ]
    )


def numbers(world: World) -> dict[str, list[int]]:
    catalog = world.catalog()
    made: dict[str, list[int]] = {}
    try:
        for space, name in catalog.list_tables(world.tenant) if catalog.namespace_exists(world.tenant) else ():
            rows = catalog.load_table((space, name)).scan(selected_fields=("source_identifier",)).to_arrow()
            made[name] = sorted(map(int, rows["source_identifier"].to_pylist()))
    finally:
        catalog.close()
    return made


def holds(world: World, rows: int) -> bool:
    return sum(map(len, numbers(world).values())) >= rows


def test_each_type_lands_once_in_its_table_over_a_restart(world: World) -> None:
    world.make_topic(world.topic)
    stream = world.stream("seg", splitBy="eventType")
    for first in (0, 40):
        produce(world, first, 40)
        world.start()
        wanted = first + 40
        wait_until(partial(holds, world, wanted), 40, what=f"{wanted} rows")
        assert world.wait_state(stream, State.RUNNING).reason is None
        world.stop()
    tables: dict[str, list[int]] = {"seg": []} | {
        f"seg_{kind.replace('.', '_')}": [n for n in range(80) if KINDS[n // 2 % len(KINDS)] == kind] for kind in KINDS
    }
    assert numbers(world) == tables
