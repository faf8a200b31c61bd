"""What upkeep found and did is in the stream's status; of several tables it is one."""

import orjson

from schemas.backing.registry import StreamState, TableUpkeep
from sinks.status import together
from sinks.upkeep.keeper import Keeper
from tests.unit.sinks.ground import TOPIC, Ground


def test_a_tail_tells_the_last_look_at_its_table(ground: Ground) -> None:
    keeper = ground.upkeep = Keeper(ground.catalog, ground.clock, lambda: 0.5)
    ground.log.make(TOPIC)
    ground.log.events(0, 80)
    told: list[StreamState] = []

    def look() -> None:
        due = keeper.due()
        if due is not None and ground.tail is not None:
            keeper.look(due)
            told.append(ground.tail.status())

    ground.meanwhile = look
    ground.run()
    assert keeper.due() is None, "a table whose tail has ended is nobody's here"
    last = told[-1].upkeep
    assert last is not None
    assert (last.files, last.small_files, last.error) == (1, 1, None)
    assert last.compacted_at_ms is not None
    assert last.live_bytes > 0
    assert ground.numbers() == list(range(80))


def test_several_tables_are_told_as_one() -> None:
    one = TableUpkeep(1, 2, 3, 4, 5, 6, 70, None, removed_rows=7)
    other = TableUpkeep(10, 20, 30, 40, 50, 60, 7, 8, "no room", 70, 5)
    assert together([one, None, other]) == TableUpkeep(11, 22, 33, 44, 55, 66, 7, 8, "no room", 77, 5)
    assert together([None]) is None
    assert orjson.dumps(one)
