"""Positions are durable and move without rows; what the log lost is said (rules 17 to 19)."""

import json
from typing import Any

import pytest

from sinks import session
from sinks.table import state
from tests.integration.sinks.world import wire_event
from tests.unit.sinks.ground import STREAM, TOPIC, Ground


def summaries(ground: Ground) -> list[dict[str, str]]:
    return [dict(one.summary.additional_properties) for one in ground.table().snapshots() if one.summary]


def deaf(ground: Ground) -> None:
    """Let the stream select nothing of what comes."""
    ground.event_types = ("never.*",)
    ground.log.make(TOPIC)


def test_a_filter_that_matches_nothing_moves_on_after_ten_minutes(ground: Ground) -> None:
    deaf(ground)
    ground.log.events(0, 20)
    ground.step_s = 2.0
    began = ground.clock.monotonic()
    ground.run(until=lambda: len(summaries(ground)) > 0 if ground.reader.table_exists(("acme", "orders")) else False)
    assert session.IDLE_COMMIT_S <= ground.clock.monotonic() - began < session.IDLE_COMMIT_S + 10
    assert summaries(ground)[0][state.NOT_SELECTED + STREAM] == "20"
    assert state.offsets(ground.table().metadata, STREAM) == {"TOPICID1": {"0": 20}}
    assert ground.table().scan().count() == 0


def test_a_filter_that_matches_nothing_moves_on_after_so_many_records(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "IDLE_COMMIT_RECORDS", 50)
    deaf(ground)
    ground.log.events(0, 120)
    began = ground.clock.monotonic()
    ground.run(until=lambda: state.offsets(ground.table().metadata, STREAM) == {"TOPICID1": {"0": 100}})
    assert ground.clock.monotonic() - began < session.IDLE_COMMIT_S
    assert [one[state.NOT_SELECTED + STREAM] for one in summaries(ground)] == ["50", "50"]
    assert session.IDLE_COMMIT_RECORDS == 50


def test_records_not_selected_go_with_the_next_rows(ground: Ground) -> None:
    ground.event_types = ("order.*",)
    ground.log.make(TOPIC)
    ground.log.put(*(wire_event(n, b'{"n":%d}' % n, kind="push" if n < 8 else "order.paid") for n in range(10)))
    ground.run()
    assert ground.numbers() == [8, 9]
    assert [one.get(state.NOT_SELECTED + STREAM) for one in summaries(ground)] == ["8"]


def test_markers_at_the_end_move_the_table_on(ground: Ground) -> None:
    """Retention would else remove them, and a quiet table would be told that it has lost them."""
    ground.log.make(TOPIC)
    ground.log.events(0, 5)
    ground.run()
    ground.log.put(None, None, None)
    ground.step_s = 2.0
    ground.run()
    assert state.offsets(ground.table().metadata, STREAM) == {"TOPICID1": {"0": 8}}
    ground.log.low[TOPIC, 0] = 8
    assert ground.run().status().reason is None


def test_a_quiet_table_commits_nothing(ground: Ground) -> None:
    ground.log.make(TOPIC)
    ground.log.events(0, 5)
    ground.run()
    before = ground.table().metadata_location
    ground.step_s = 2.0
    ground.run(until=lambda: False)
    assert ground.table().metadata_location == before


def test_latest_is_resolved_once(ground: Ground) -> None:
    ground.log.make(TOPIC)
    ground.log.events(0, 5)
    ground.run(start_from="latest")
    ground.log.events(5, 5)
    ground.run(start_from="latest")
    assert ground.numbers() == [5, 6, 7, 8, 9]


def test_a_new_partition_is_read_from_its_first_record(ground: Ground) -> None:
    ground.log.make(TOPIC)
    ground.log.events(0, 5)
    ground.run(start_from="latest")
    ground.log.topics[TOPIC][1].append([wire_event(n, b'{"n":%d}' % n) for n in range(10, 13)])
    ground.run(start_from="latest")
    assert ground.numbers() == [10, 11, 12]


@pytest.mark.parametrize("running", [True, False])
def test_a_topic_made_anew_starts_anew(ground: Ground, running: bool) -> None:
    ground.log.make(TOPIC)
    ground.log.events(0, 5)

    def anew() -> None:
        ground.log.make(TOPIC, topic_id="TOPICID2")
        ground.log.events(5, 8)

    if running:
        done: list[int] = []

        def meanwhile() -> None:
            if not done and ground.drained():
                done.append(1)
                anew()

        ground.meanwhile = meanwhile
        ground.run(until=lambda: bool(done) and len(ground.numbers()) == 13)
    else:
        ground.run()
        anew()
        ground.run(until=lambda: len(ground.numbers()) == 13)
    assert ground.numbers() == list(range(13))
    assert state.offsets(ground.table().metadata, STREAM) == {"TOPICID1": {"0": 5}, "TOPICID2": {"0": 8}}


def lost(ground: Ground) -> list[Any]:
    return [json.loads(one[state.LOST + STREAM]) for one in summaries(ground) if state.LOST + STREAM in one]


def test_says_the_range_that_retention_took_and_goes_on_only_when_told(ground: Ground) -> None:
    ground.log.make(TOPIC)
    ground.log.events(0, 5)
    ground.run()
    ground.log.events(5, 10)
    ground.log.low[TOPIC, 0] = 9
    status = ground.run().status()
    assert status.reason == "offsets_expired"
    assert "stands at 5" in str(status.message)
    assert "records 5 to 9 are lost" in str(status.message)
    assert ground.numbers() == list(range(5))
    ground.run(accept_loss=True)
    assert ground.numbers() == [*range(5), *range(9, 15)]
    assert lost(ground) == [{"TOPICID1": {"0": [5, 9]}}]


def test_what_was_read_before_the_log_was_cut_is_kept(ground: Ground) -> None:
    ground.log.make(TOPIC)
    ground.log.events(0, 10)
    ground.flush_bytes = 1 << 30
    cut: list[int] = []

    def meanwhile() -> None:
        if not cut:
            cut.append(1)
            ground.log.events(10, 10)
            ground.log.low[TOPIC, 0] = 15

    ground.meanwhile = meanwhile
    status = ground.run(freshness_s=600.0).status()
    assert status.reason == "offsets_expired"
    assert "records 10 to 15 are lost" in str(status.message)
    assert ground.numbers() == list(range(10))


def test_a_position_beyond_the_end_is_said_and_goes_on_from_the_end_when_told(ground: Ground) -> None:
    ground.log.make(TOPIC)
    ground.log.events(0, 10)
    ground.run()
    del ground.log.topics[TOPIC][1][0][6:]
    status = ground.run().status()
    assert status.reason == "offsets_expired"
    assert "records 6 to 10 are lost" in str(status.message)
    done: list[int] = []

    def meanwhile() -> None:
        if not done and lost(ground):
            done.append(1)
            ground.log.events(20, 5)

    ground.meanwhile = meanwhile
    ground.run(accept_loss=True, until=lambda: bool(done) and ground.drained())
    assert ground.numbers() == [*range(10), *range(20, 25)]
    assert lost(ground) == [{"TOPICID1": {"0": [10, 6]}}]


def test_a_leader_that_does_not_know_the_end_yet_is_not_believed_at_once(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that accepts losses would go back, and write rows twice."""
    ground.log.make(TOPIC)
    ground.log.events(0, 10)
    ground.run()
    real, asked = ground.log.bounds, [0]

    def bounds(name: str, partition: int) -> tuple[int, int]:
        asked[0] += 1
        return (0, 4) if asked[0] < 4 else real(name, partition)

    monkeypatch.setattr(ground.log, "bounds", bounds)
    ground.run(accept_loss=True, until=lambda: asked[0] > 6)
    assert asked[0] >= 4
    assert lost(ground) == []
    assert ground.numbers() == list(range(10))
