"""What people do while everything breaks: redrives of every kind, sources that are paused and go on.

Lives here: jobs asked over REST, records written as a job does that was restarted half-way, pauses and what happens
during one. Rules 11, 15 and 16. What must hold of it: rules.py.
"""

import http.client
import json
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from confluent_kafka import Producer

from schemas.wire import raw
from tests.faults import definitions, menu_kafka
from tests.faults.gather import REDRIVE, decided
from tests.faults.history import Held
from tests.faults.topics import Read, avro, ids, read_all
from tests.faults.traffic import GITHUB, MADE, ORDERS, PLATFORMS
from tests.system.client import eventually

if TYPE_CHECKING:
    from tests.faults.run import Run

WAIT_S = 240.0
_JOB = "fault-suite"
_OVER = ("succeeded", "failed")
_WHOLE = {"reason": "unsupported_content_type"}
_FILTERS: tuple[dict[str, Any], ...] = (
    {}, {"source": ORDERS}, {"source": GITHUB}, {"reason": "schema_violation"}, {"schema": "orders@1"},
    {"eventType": MADE}, {"as": "distinct"}, {"reason": "id_conflict", "as": "distinct"}, {"limit": 7}, _WHOLE,
)  # fmt: skip


# ---- redrives
def redrive(run: "Run") -> str:
    """Ask for redrives by filter, one behind the other, some half-way written by somebody else at the same time."""
    chosen = [run.rng.choice(_FILTERS) for _ in range(run.rng.randrange(1, 4))]
    jobs = [ask(run, wanted) for wanted in chosen]
    beside = f", beside them {redrive_twice(run)}" if run.rng.random() < 0.5 else ""
    return f"{_told(run, chosen, jobs)}{beside}"


def redrive_mended(run: "Run") -> str:
    """Mend what is in quarantine, pins and the reading of bodies, redrive it twice, sometimes take the mending back."""
    mend(run)
    whole = ask(run, _WHOLE)
    jobs = [whole, ask(run, {}), ask(run, run.rng.choice(_FILTERS))]
    told = _told(run, [_WHOLE, {}, {}], jobs)
    if back := run.rng.random() < 0.5:
        change(run, ORDERS, {"parse": {"contentType": None}})
    return f"{told}{', mending taken back' if back else ''}"


def redrive_killed(run: "Run") -> str:
    """Kill the stage while it redrives; whoever goes on, or nobody before the lease is over, doubles nothing."""
    chosen = [run.rng.choice(_FILTERS) for _ in range(2)]
    for wanted in chosen:
        ask(run, wanted)
    run.last(run.rng.uniform(0.0, 6.0))
    worker = run.stack.keeper.kill("streams", hold=True)
    if wiped := run.rng.random() < 0.3:
        shutil.rmtree(run.stack.state_of(worker), ignore_errors=True)
    run.stack.keeper.resume("streams")
    return f"{chosen}, SIGKILL {worker.pid}{', state folder removed' if wiped else ''}"


def redrive_behind(run: "Run") -> str:
    """Kill the writers while a redrive waits for the quarantine table; it goes on when they have caught up."""
    chosen = [{}, run.rng.choice(_FILTERS)]
    jobs = [ask(run, wanted) for wanted in chosen]
    pid = run.stack.keeper.kill("sinks").pid
    return f"{_told(run, chosen, jobs)}, SIGKILL {pid}"


def ask(run: "Run", wanted: dict[str, Any]) -> str:
    """Queue a redrive over REST and return the job's id; the API may be away for a while."""

    def asked() -> str | None:
        reply = run.caller.send("POST", "/api/v1/quarantine/redrive", wanted)
        assert reply.status == 202 or reply.status >= 500, reply
        return str(reply.json()["id"]) if reply.status == 202 else None

    return eventually(f"a redrive of {wanted} is queued", asked, WAIT_S)


def over(run: "Run", job: str) -> dict[str, Any]:
    """Wait until a job is over and return it."""

    def probe() -> dict[str, Any] | None:
        reply = run.caller.send("GET", f"/api/v1/jobs/{job}")
        found: dict[str, Any] | None = reply.json() if reply.status == 200 else None
        return found if found and found["state"] in _OVER else None

    return eventually(f"job {job} is over", probe, WAIT_S)


def all_over(run: "Run") -> None:
    """Wait until every job is over; one whose process was killed is taken over when its lease ends."""

    def probe() -> bool:
        reply = run.caller.send("GET", "/api/v1/jobs?limit=200")
        return reply.status == 200 and all(job["state"] in _OVER for job in reply.json()["items"])

    eventually("every job is over", probe, WAIT_S)


def _told(run: "Run", chosen: list[dict[str, Any]], jobs: list[str]) -> str:
    ended = [over(run, job) for job in jobs]
    counts = [f"{each['state']} {(each['result'] or {}).get('redriven', '?')}" for each in ended]
    return "; ".join(f"{json.dumps(wanted)}: {count}" for wanted, count in zip(chosen, counts, strict=True))


def change(run: "Run", platform: str, patch: dict[str, Any]) -> None:
    """Change a source, however long the API is away."""

    def changed() -> bool:
        more = {"Content-Type": "application/merge-patch+json"}
        try:
            reply = run.caller.send("PATCH", f"/api/v1/sources/{platform}", patch, more)
        except (OSError, http.client.HTTPException):
            return False
        assert reply.status == 200 or reply.status >= 500, reply
        return reply.status == 200

    eventually(f"{platform} is changed", changed, WAIT_S)


def mend(run: "Run") -> None:
    """Let everything be clean that any definition takes."""
    for platform in PLATFORMS:
        change(run, platform, {"pins": definitions.pins(platform, 2)})
    change(run, ORDERS, {"parse": {"contentType": "application/json"}, "unpinned": "allow"})


# ---- records of a job that was restarted half-way
def redrive_twice(run: "Run") -> str:
    """Write some failed records again as a redrive job does that was restarted half-way: twice each (rule 16)."""
    bootstrap, tenant = run.stack.bootstrap, run.tenant
    names = [f"{tenant}.{kind}.{platform}" for kind in ("webhook", "quarantine") for platform in PLATFORMS]
    found, known = read_all(bootstrap, names), ids(bootstrap, names)
    raws = {
        (known[record.topic][0], record.partition, record.offset): record
        for record in found.records
        if ".webhook." in record.topic and REDRIVE not in record.headers
    }
    rows = _open_rows(found.records)
    places = sorted(at for at in rows.keys() & raws.keys() if at[:2] not in run.archive.cuts)
    chosen = [(at, run.rng.random() < 0.7) for at in run.rng.sample(places, min(len(places), 20))]
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True})
    for at, said in chosen * 2:
        record = raws[at]
        headers: Any = _redriven(record, at, rows[at], said=said)
        producer.produce(record.topic, record.value, record.key, at[1], headers=headers)
    assert producer.flush(WAIT_S) == 0, "a redrive could not be written"
    return f"{len(chosen)} records, {sum(len(rows[at]) for at, _ in chosen)} items twice"


def _open_rows(records: list[Read]) -> dict[tuple[str, int, int], dict[int, tuple[str, bytes]]]:
    """Return what is in quarantine and not resolved: raw record -> item -> (event id, payload)."""
    rows: dict[tuple[str, int, int], dict[int, tuple[str, bytes]]] = {}
    data = [avro("quarantine.v1", record.value) for record in records if ".quarantine." in record.topic]
    for datum in sorted(data, key=lambda one: str(one["kind"])):  # failed before resolved
        at = datum["position"]
        items = rows.setdefault((at["topicId"], at["partition"], at["offset"]), {})
        if datum["kind"] == "failed":
            items[at["item"]] = (datum["eventId"], datum["payload"])
        else:
            items.pop(at["item"], None)
    return {at: items for at, items in rows.items() if items}


def _redriven(
    record: Read, at: tuple[str, int, int], rows: dict[int, tuple[str, bytes]], *, said: bool
) -> list[tuple[str, bytes]]:
    """Return the headers; a row that holds all of the delivery names no item. `said`: the ids of the rows as well."""
    whole = len(rows) == 1 and rows.get(0, ("", b""))[1] == record.value
    wire: dict[str, Any] = {"topicId": at[0], "partition": at[1], "offset": at[2], "job": _JOB, "as": None}
    wire |= {"items": [] if whole else sorted(rows)}
    if said:
        wire |= {"eventIds": [rows[item][0] for item in sorted(rows)]}
    return [*record.headers.items(), (raw.HB_REDRIVE, json.dumps(wire).encode())]


# ---- pauses
def paused(run: "Run") -> str:
    """Pause a source under load, let something happen, and let it go on: nothing of it is decided meanwhile."""
    platform = run.rng.choice(PLATFORMS)
    (other,) = set(PLATFORMS) - {platform}
    change(run, platform, {"paused": True})
    began = _still(run, platform)
    name, happen = run.rng.choice(_MEANWHILE)
    happen(run)
    run.sender.wait_posts(20)
    run.await_row(other)
    ended = decided(run.stack.bootstrap, run.tenant, [platform])
    for key, (at, _) in began.items():
        run.archive.held.append(Held(key, at, ended[key][0]))
    change(run, platform, {"paused": False})
    waited = sum(end - at for at, end in ended.values())
    assert waited > 0, f"nothing was taken for {platform} while it was paused"
    return f"{platform}, {name}, {waited} records waited"


def _still(run: "Run", platform: str) -> dict[tuple[str, int], tuple[int, int]]:
    """Wait until the stage has heard of a pause: the log grows, and for a while nothing of it is decided."""
    bootstrap, looks = run.stack.bootstrap, list[dict[tuple[str, int], tuple[int, int]]]()

    def still() -> dict[tuple[str, int], tuple[int, int]] | None:
        looks.append(decided(bootstrap, run.tenant, [platform]))
        run.last(0.7)
        last = looks[-3:]
        same = len(last) == 3 and len({tuple(sorted((key, at) for key, (at, _) in look.items())) for look in last}) == 1
        grew = same and any(end > at for at, end in last[0].values()) and last[0] != last[-1]
        return last[-1] if grew else None

    return eventually(f"{platform} is paused", still, WAIT_S)


def _kill(name: str) -> Callable[["Run"], None]:
    def happen(run: "Run") -> None:
        run.stack.keeper.kill(name)

    return happen


def _wipe(run: "Run") -> None:
    worker = run.stack.keeper.kill("streams", hold=True)
    shutil.rmtree(run.stack.state_of(worker), ignore_errors=True)
    run.stack.keeper.resume("streams")


def _redrive(run: "Run") -> None:
    over(run, ask(run, run.rng.choice(_FILTERS)))


def _broker(run: "Run") -> None:
    alone = len(run.stack.broker.config.nodes) == 1
    (menu_kafka.kill_broker if alone else menu_kafka.kill_leader)(run)


_MEANWHILE: tuple[tuple[str, Callable[["Run"], None]], ...] = (
    ("nothing", lambda _run: None), ("kill streams", _kill("streams")), ("kill streams and wipe its disk", _wipe),
    ("kill broker", _broker), ("redrive", _redrive), ("kill ingress", _kill("ingress")),
)  # fmt: skip
