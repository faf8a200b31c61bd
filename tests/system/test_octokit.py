"""The main job on real input: every published GitHub example becomes exactly one row, or one quarantine record.

Black box: HTTP in, pyiceberg and DuckDB out; expectations come from a validator run of this test's own.
"""

import fnmatch
import json
import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests.system import github, lake, payload, rebuild
from tests.system.client import Caller, Server, eventually
from tests.system.github import Delivery

pytestmark = pytest.mark.system

SECRET = "it is a secret to everybody"
STREAM, TABLE = "github-events", "github_events"
POSTERS = 8


@dataclass(frozen=True)
class Expected:
    """What this test itself says must become of the deliveries, by delivery id."""

    clean: dict[str, Delivery]
    invalid: dict[str, set[str]]
    control: int
    pins: dict[str, str]


@dataclass(frozen=True)
class Landed:
    """The state after everything was posted and drained."""

    caller: Caller
    expected: Expected
    rows: list[dict[str, Any]]
    quarantined: list[dict[str, Any]]
    ledger: list[dict[str, Any]]
    rows_while_stopped: int
    posted_before_stop: set[str]


@pytest.fixture(scope="module")
def landed(server: Server) -> Iterator[Landed]:
    """Register, post every example twice in a shuffled order, half of them while the stream is stopped, drain."""
    seed = int(os.environ.get("HOOKBERG_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
    print(f"HOOKBERG_TEST_SEED={seed}")
    deliveries = github.examples()
    assert len(deliveries) == 329
    expected = _judge(deliveries)
    caller = server.new_tenant("octokit")
    _register(caller, expected.pins)
    caller.new_stream(STREAM, "github", TABLE)

    twice = [*deliveries, *deliveries]
    random.Random(seed).shuffle(twice)
    half = len(twice) // 2
    _post_all(caller, twice[:half])
    before = {each.delivery_id for each in twice[:half]}
    first = before & expected.clean.keys()
    _wait_rows(caller, len(first))
    caller.call("POST", f"/api/v1/streams/{STREAM}/stop")
    caller.wait_state(STREAM, "stopped")
    _post_all(caller, twice[half:])
    _wait_decided(caller, len(twice))
    stopped = lake.count(server.data_dir, _tenant(caller), TABLE)
    caller.call("POST", f"/api/v1/streams/{STREAM}/start")
    _wait_rows(caller, len(expected.clean))
    eventually(
        "every invalid example is in the quarantine table",
        lambda: _count(caller, "hookberg_quarantine") >= len(expected.invalid),
    )
    yield Landed(
        caller=caller,
        expected=expected,
        rows=lake.rows(server.data_dir, _tenant(caller), TABLE),
        quarantined=lake.rows(server.data_dir, _tenant(caller), "hookberg_quarantine"),
        ledger=lake.rows(server.data_dir, _tenant(caller), "hookberg_ledger"),
        rows_while_stopped=stopped,
        posted_before_stop=first,
    )
    caller.call("POST", f"/api/v1/streams/{STREAM}/stop")


def _judge(deliveries: Sequence[Delivery]) -> Expected:
    judge = github.Judge()
    pins = github.pins(each.event_type for each in deliveries)
    clean: dict[str, Delivery] = {}
    invalid: dict[str, set[str]] = {}
    control = 0
    for each in deliveries:
        if each.event == "ping":
            control += 1
            continue
        globs = [glob for glob in pins if fnmatch.fnmatchcase(each.event_type, glob)]
        definition = pins.get(each.event_type) or pins[max(globs, key=len)]
        if faults := judge.faults(definition, each.body):
            invalid[each.delivery_id] = faults
        else:
            clean[each.delivery_id] = each
    assert min(control, len(clean), len(invalid)) > 0, "the corpus no longer exercises all three"
    return Expected(clean, invalid, control, pins)


def _register(caller: Caller, pins: dict[str, str]) -> None:
    for definition in sorted(set(pins.values())):
        subject = github.subject(definition)
        caller.call("POST", "/api/v1/schemas", {"subject": subject, "compatibility": "none"}, expect=201)
        version = {"schema": github.bundle(definition)}
        made = caller.call("POST", f"/api/v1/schemas/{subject}/versions", version, expect=201)
        assert made["version"] == 1, made
    source = {
        "platform": "github",
        "name": "github-main",
        "auth": {"type": "github", "secrets": [SECRET]},
        "pins": {glob: f"{github.subject(definition)}@1" for glob, definition in pins.items()},
        "unpinned": "quarantine",
    }
    made = caller.call("POST", "/api/v1/sources", source, expect=201)
    assert SECRET not in json.dumps(made)


def _post_all(caller: Caller, deliveries: Sequence[Delivery]) -> None:
    """Post from several connections at once; every answer must be a 2xx with a delivery id of its own."""
    unsigned = Caller(caller.server, None, caller.tenant)

    def post(each: Delivery) -> str:
        reply = unsigned.post_event("github", each.body, each.headers(SECRET))
        assert reply.status == 200, (each.event_type, reply)
        answer = reply.json()
        assert answer["accepted"] is True
        return str(answer["deliveryId"])

    with ThreadPoolExecutor(POSTERS) as pool:
        ids = list(pool.map(post, deliveries))
    assert len(set(ids)) == len(deliveries)


def _tenant(caller: Caller) -> str:
    assert caller.tenant is not None
    return caller.tenant


def _count(caller: Caller, table: str) -> int:
    return lake.count(caller.server.data_dir, _tenant(caller), table)


def _wait_rows(caller: Caller, at_least: int) -> None:
    eventually(f"{at_least} rows in {TABLE}", lambda: _count(caller, TABLE) >= at_least)


def _wait_decided(caller: Caller, items: int) -> None:
    def probe() -> bool:
        found = lake.rows(caller.server.data_dir, _tenant(caller), "hookberg_ledger", "n")
        return sum(int(row["n"]) for row in found) >= items

    eventually(f"{items} items in the ledger table", probe)


def test_every_distinct_valid_delivery_is_exactly_one_row(landed: Landed) -> None:
    found = Counter(row["vendor_event_id"] for row in landed.rows)
    assert found == Counter(landed.expected.clean.keys())
    ids = [row["event_id"] for row in landed.rows]
    assert len(set(ids)) == len(ids)


def test_the_same_body_under_two_delivery_ids_is_two_events(landed: Landed) -> None:
    bodies = Counter((each.event, each.body) for each in landed.expected.clean.values())
    twins = {body for (_, body), n in bodies.items() if n > 1}
    assert twins, "the corpus holds equal bodies"
    wanted = {key for key, each in landed.expected.clean.items() if each.body in twins}
    assert wanted <= {row["vendor_event_id"] for row in landed.rows}


def test_every_distinct_invalid_delivery_is_quarantined_once_with_a_pointer(landed: Landed) -> None:
    found = Counter(row["vendor_event_id"] for row in landed.quarantined)
    assert found == Counter(landed.expected.invalid.keys())
    for row in landed.quarantined:
        faults = landed.expected.invalid[row["vendor_event_id"]]
        assert row["reason"] == "schema_violation"
        assert row["pointer"] in faults, (row["pointer"], faults)
        assert row["message"]
        github.resolve(json.loads(row["payload"]), row["pointer"])


def test_quarantine_is_listed_over_rest_with_pointers(landed: Landed) -> None:
    seen: dict[str, str] = {}
    cursor = ""
    while True:
        page = landed.caller.call("GET", f"/api/v1/quarantine?limit=20{cursor}")
        seen |= {item["vendorEventId"]: item["pointer"] for item in page["items"]}
        if not page.get("nextCursor"):
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert seen.keys() == landed.expected.invalid.keys()
    assert all(pointer in landed.expected.invalid[key] for key, pointer in seen.items())


def test_a_ping_is_control_every_time_and_never_a_row(landed: Landed) -> None:
    assert _outcomes(landed)["control"] == 2 * landed.expected.control
    assert not [row for row in landed.rows if row["event_type"].startswith("ping")]


def test_the_ledger_sums_agree(landed: Landed) -> None:
    expected = landed.expected
    distinct = len(expected.clean) + len(expected.invalid)
    assert _outcomes(landed) == {
        "clean": len(expected.clean),
        "quarantined": len(expected.invalid),
        "duplicate": distinct,
        "control": 2 * expected.control,
    }
    assert sum(row["n"] for row in landed.ledger) == 2 * (distinct + expected.control)


def test_ledger_ranges_are_contiguous_from_the_first_offset(landed: Landed) -> None:
    by_partition: dict[tuple[str, int], set[tuple[int, int]]] = {}
    for row in landed.ledger:
        ranges = by_partition.setdefault((row["topic_id"], row["partition"]), set())
        ranges.add((row["first_offset"], row["next_offset"]))
    for found in map(sorted, by_partition.values()):
        assert found[0][0] == 0
        assert [start for start, _ in found[1:]] == [end for _, end in found[:-1]]


def test_deliveries_while_the_stream_was_stopped_arrive_after_start(landed: Landed) -> None:
    assert landed.rows_while_stopped == len(landed.posted_before_stop) < len(landed.expected.clean)
    assert len(landed.rows) == len(landed.expected.clean)


def test_every_payload_is_rebuilt_equal_from_its_columns(landed: Landed) -> None:
    loaded = lake.table(landed.caller.server.data_dir, _tenant(landed.caller), TABLE)
    assert loaded is not None
    rebuilder = rebuild.Rebuilder(loaded.schema())
    wrong = []
    for row in landed.rows:
        sent = payload.without_nulls(payload.parse(landed.expected.clean[row["vendor_event_id"]].body))
        kept = payload.without_nulls(rebuilder.payload(row))
        if found := payload.difference(sent, kept):
            wrong.append(f"{row['event_type']} {found}")
    assert not wrong, f"{len(wrong)} of {len(landed.rows)}: {wrong[:5]}"
    assert all(row["payload"] for row in landed.rows), "every example has typed columns, none is kept as text only"


def test_system_columns_say_where_a_row_comes_from(landed: Landed) -> None:
    for row in landed.rows:
        delivery = landed.expected.clean[row["vendor_event_id"]]
        assert row["event_type"] == delivery.event_type
        assert row["tenant_id"] == landed.caller.tenant
        assert row["source"] == "github-main"
        assert row["source_kind"] == "webhook.github"
        assert row["auth_coverage"] == "full"
        assert row["schema"].removesuffix("@1") in set(map(github.subject, landed.expected.pins.values()))
    positions = {(row["_topic"], row["_partition"], row["_offset"], row["_item"]) for row in landed.rows}
    assert len(positions) == len(landed.rows)


def test_duckdb_counts_the_same_rows(landed: Landed) -> None:
    where = landed.caller.server.data_dir, _tenant(landed.caller)
    n = len(landed.expected.clean)
    assert lake.duckdb_rows(*where, TABLE, "count(*), count(DISTINCT event_id)") == [(n, n)]
    quarantined = lake.duckdb_rows(*where, "hookberg_quarantine", "count(*)")
    assert quarantined == [(len(landed.expected.invalid),)]
    assert lake.duckdb_rows(*where, "hookberg_ledger", "sum(n)") == [(sum(row["n"] for row in landed.ledger),)]


def _outcomes(landed: Landed) -> dict[str, int]:
    out: Counter[str] = Counter()
    for row in landed.ledger:
        out[row["outcome"]] += row["n"]
    return dict(out)
