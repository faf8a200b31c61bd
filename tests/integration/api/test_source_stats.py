"""`GET /sources/{id}/stats`: a window of minutes, folded; what is beyond a bound is named; one tenant's own."""

import time
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from ingress.api.resources.source_stats import MAX_POINTS, STEPS, fold
from schemas.definitions.key import Permission
from schemas.definitions.minute import Complete, MinuteCounts
from tests.integration.api.world import SOURCE, Api

HOUR = 60


def row(source_id: str, minute: int, **more: Any) -> MinuteCounts:
    made = MinuteCounts(source_id, minute, "L", 0, first=5, last=7, types={"push": {"clean": 3}})
    return replace(made, **more)


def minute_of(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) // 60


async def test_a_window_is_folded_to_points_of_all_partitions(api: Api) -> None:
    source = (await api.make("/sources", SOURCE))["id"]
    now = time.time_ns() // 60_000_000_000
    newest = now // 15 * 15
    other = {"issues.opened": {"clean": 1, "quarantined": 2}}
    api.env.registry.minutes.tell(
        [
            row(source, newest),
            row(source, newest, partition=1, types=other),
            row(source, newest - 40),
            row(source, newest - 40, first=8, last=8, other_types={"clean": 5}, other_times={"duplicate": 4}),
            row(source, now - 30 * HOUR),
        ],
        [Complete("L", "default", newest - 3)],
    )
    found = (await api.send("GET", "/sources/github-main/stats")).json
    assert (found["source"], found["window"], found["stepSeconds"], found["eventType"]) == (
        "github-main",
        "24h",
        900,
        None,
    )
    assert len(found["points"]) == 96
    assert minute_of(found["until"]) - minute_of(found["since"]) == 24 * HOUR
    assert minute_of(found["completeUntil"]) == newest - 3
    full = {minute_of(point["at"]): point["outcomes"] for point in found["points"] if point["outcomes"]}
    assert full == {newest: {"clean": 4, "quarantined": 2}, newest - 45: {"clean": 11, "duplicate": 4}}
    assert found["outcomes"] == {"clean": 15, "quarantined": 2, "duplicate": 4}
    assert found["eventTypes"] == [
        {"eventType": "push", "outcomes": {"clean": 9}},
        {"eventType": "issues.opened", "outcomes": {"clean": 1, "quarantined": 2}},
    ]
    assert (found["otherTypes"], found["otherTimes"]) == ({"clean": 5}, {"duplicate": 4})
    some = (await api.send("GET", f"/sources/{source}/stats?window=2h&eventType=issue*")).json
    assert (some["stepSeconds"], len(some["points"])) == (60, 120)
    assert some["outcomes"] == {"clean": 1, "quarantined": 2}
    assert [one["eventType"] for one in some["eventTypes"]] == ["issues.opened"]
    assert some["otherTypes"] == {"clean": 5}  # whether they fit nobody knows: beside the sums


async def test_a_source_of_which_nothing_was_counted_has_empty_points_and_says_so(api: Api) -> None:
    await api.make("/sources", SOURCE)
    found = (await api.send("GET", "/sources/github-main/stats?window=7d")).json
    assert found["completeUntil"] is None
    assert (found["outcomes"], found["eventTypes"], len(found["points"])) == ({}, [], 168)


async def test_refuses_a_window_that_is_none(api: Api) -> None:
    await api.make("/sources", SOURCE)
    for window in ("", "0h", "1", "h", "1y", "-1h", "91d", "999999d", "1H", "٣h", "1h ", "1h1m"):
        reply = await api.send("GET", f"/sources/github-main/stats?window={window}")
        assert (reply.status, reply.reason) == (400, "bad_request"), window


async def test_stats_are_one_tenants_own_and_need_the_permission(api: Api) -> None:
    source = (await api.make("/sources", SOURCE))["id"]
    await api.make("/tenants", {"id": "other"})
    for name in (source, "github-main"):
        assert (await api.send("GET", f"/sources/{name}/stats", tenant="other")).reason == "not_found"
    key = await api.key_for("default", Permission.STREAMS_READ)
    assert (await api.send("GET", "/sources/github-main/stats", key=key)).status == 403


@pytest.mark.parametrize("minutes", [1, 60, 200, 201, 1440, 7 * 1440, 30 * 1440, 90 * 1440])
def test_every_window_has_a_bounded_number_of_points(minutes: int) -> None:
    assert any(minutes <= step * MAX_POINTS for step in STEPS)


def test_types_beyond_what_is_shown_are_one_sum() -> None:
    rows = [row("s", 0, types={f"t{n:02}": {"clean": n + 1} for n in range(60)})]
    found = fold(rows, 0, 1, 1, None)
    assert [found["eventTypes"][0]["eventType"], len(found["eventTypes"])] == ["t59", 50]
    assert found["otherTypes"] == {"clean": sum(range(1, 11))}
    assert found["outcomes"] == {"clean": sum(range(1, 61))}
