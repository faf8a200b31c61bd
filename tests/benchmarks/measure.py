"""The measurements: freshness at a constant rate, and the throughput of each stage on its own.

Each works on a tenant of its own and sees only public things: HTTP, the status of a stream, tables by pyiceberg.
"""

import asyncio
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.load import Request, Sent, percentile, prepare, send
from tests.system import lake
from tests.system.client import Caller, Server, eventually
from tests.system.github import Delivery

SECRET = "a secret for the benchmark"
GITHUB = "/api/v1/webhooks/github"
ORDERS = "/api/v1/webhooks/orders"
CONNECTIONS = 32
POLL_S = 0.1
BATCH = 200
DRAIN_S = 180.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    name: str
    value: str
    how: str


def github_source(server: Server, name: str) -> Caller:
    """Make a tenant with a signed GitHub source and a stream with the default freshness (5 s)."""
    caller = server.new_tenant(name)
    auth = {"type": "github", "secrets": [SECRET]}
    caller.call("POST", "/api/v1/sources", {"platform": "github", "auth": auth}, expect=201)
    return caller


def github_requests(caller: Caller, count: int) -> list[Request]:
    """Prepare `count` distinct signed push events of about 1.2 KB."""
    base = caller.server.ingest
    out = []
    for n in range(count):
        commits = [
            {"id": f"{n:040x}", "message": f"change {n}" + "." * 300, "added": [f"src/{n}.py"], "distinct": True}
        ]
        repository = {"id": 35129377, "full_name": "octo-org/octo-repo", "private": False, "stargazers_count": n}
        body = {"ref": "refs/heads/main", "commits": commits * 2, "repository": repository, "size": n}
        delivery = Delivery("push", json.dumps(body).encode(), str(uuid.uuid4()))
        headers = {**delivery.headers(SECRET), "X-Tenant-Id": str(caller.tenant)}
        out.append(prepare(base, GITHUB, delivery.delivery_id, delivery.body, headers))
    return out


def freshness(server: Server, rate_per_s: float, seconds: float, asked_s: float = 5) -> list[Figure]:
    """Measure 2xx to row visible in pyiceberg, per event, with `freshnessSeconds` as asked (5: the default).

    The first event of the new source and stream is a figure of its own: the stage takes up a topic, a table is made.
    """
    caller = github_source(server, "fresh")
    caller.new_stream("pushes", "github", "pushes", freshnessSeconds=asked_s)
    first, *requests = github_requests(caller, 1 + int(rate_per_s * seconds))
    begun = _waits(*asyncio.run(_watched(caller, [first], rate_per_s)))
    sent, visible = asyncio.run(_watched(caller, requests, rate_per_s))
    waits = _waits(sent, visible)
    rate = f"{len(requests)} events at {rate_per_s:.0f}/s, freshnessSeconds {asked_s:g}"
    lines = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)]
    out = [Figure(f"freshness {label}", f"{percentile(waits, share):.2f} s", rate) for label, share in lines]
    answer = f"{percentile(sent.latency_s, 0.5) * 1e3:.1f} / {percentile(sent.latency_s, 0.99) * 1e3:.1f} ms"
    new = Figure("first row of a new stream", f"{begun[0]:.2f} s", "source and stream made right before")
    return [*out, Figure("answer p50 / p99", answer, rate), new]


def _waits(sent: Sent, visible: dict[str, float]) -> list[float]:
    return [visible[name] - at for name, at in sent.answered_at.items()]


async def _watched(caller: Caller, requests: list[Request], rate_per_s: float) -> tuple[Sent, dict[str, float]]:
    posting = asyncio.create_task(send(caller.server.ingest, requests, 8, rate_per_s))
    visible: dict[str, float] = {}
    snapshot: int | None = None
    deadline = time.monotonic() + len(requests) / rate_per_s + DRAIN_S
    wanted = {request.name for request in requests}
    while not wanted <= visible.keys():
        assert time.monotonic() < deadline, f"{len(visible)} of {len(requests)} rows after {DRAIN_S} s of waiting"
        loaded = await asyncio.to_thread(lake.table, caller.server.data_dir, str(caller.tenant), "pushes")
        seen_at = time.time()
        current = None if loaded is None else loaded.current_snapshot()
        if loaded is not None and current is not None and current.snapshot_id != snapshot:
            snapshot = current.snapshot_id
            found = await asyncio.to_thread(loaded.scan(selected_fields=("vendor_event_id",)).to_arrow)
            for name in found["vendor_event_id"].to_pylist():
                visible.setdefault(name, seen_at)
        await asyncio.sleep(POLL_S)
    return await posting, visible


def ingress(server: Server, count: int) -> list[Figure]:
    """Measure requests answered a second by the fast door, signed events, acknowledged by Kafka."""
    caller = github_source(server, "edge")
    requests = github_requests(caller, count)
    sent = asyncio.run(send(server.ingest, requests, CONNECTIONS))
    cores = sent.client_cpu_s / sent.seconds
    how = f"{count} signed 1.2 KB events, {CONNECTIONS} connections; the client itself used {cores:.2f} cores"
    tail = f"{percentile(sent.latency_s, 0.5) * 1e3:.1f} / {percentile(sent.latency_s, 0.99) * 1e3:.1f} ms"
    return [Figure("ingress", f"{count / sent.seconds:,.0f} requests/s", how), Figure("ingress p50 / p99", tail, how)]


def stage_and_writer(server: Server, events: int) -> list[Figure]:
    """Measure the stage on a backlog of batches while the stream is stopped, then the writer on what the stage left."""
    caller = server.new_tenant("bulk")
    schema = {"type": "object", "required": ["id", "amount"], "properties": {"amount": {"type": "integer"}}}
    caller.call("POST", "/api/v1/schemas", {"subject": "order", "compatibility": "none"}, expect=201)
    caller.call("POST", "/api/v1/schemas/order/versions", {"schema": schema}, expect=201)
    source = {"platform": "orders", "auth": {"type": "none"}, "dedupe": {"path": "/id"}, "pins": {"*": "order@1"}}
    caller.call("POST", "/api/v1/sources", {**source, "partitioning": "source"}, expect=201)
    caller.new_stream("orders", "orders", "orders", freshnessSeconds=5)
    caller.call("POST", "/api/v1/streams/orders/stop")
    caller.wait_state("orders", "stopped")
    requests = [_batch(caller, n) for n in range(events // BATCH)]
    posted = asyncio.run(send(server.ingest, requests, 8))
    total = len(requests) * BATCH
    ledger = _ledger(caller, total)
    decided = [row["decided_at"].timestamp() for row in ledger if row["n"]]
    first = sum(row["n"] for row in ledger if row["decided_at"].timestamp() == min(decided))
    span = max(decided) - min(decided)
    how = f"{total} events of 0.4 KB, {BATCH} a delivery, posted in {posted.seconds:.1f} s; first to last decision"
    stage = Figure("stage", f"{(total - first) / span:,.0f} events/s" if span else "one transaction", how)
    return [stage, _writer(caller, total)]


def _batch(caller: Caller, n: int) -> Request:
    items = [
        {"id": f"o-{n}-{i}", "event": "order.made", "amount": n * i, "customer": {"name": f"c{i}", "country": "DE"}}
        | {"lines": [{"sku": f"s{j}", "qty": j, "price": 9.5} for j in range(5)], "note": "x" * 100}
        for i in range(BATCH)
    ]
    return prepare(caller.server.ingest, ORDERS, str(n), json.dumps(items).encode(), caller.headers())


def _ledger(caller: Caller, total: int) -> list[dict[str, Any]]:
    def probe() -> list[dict[str, Any]] | None:
        found = lake.rows(caller.server.data_dir, str(caller.tenant), "hookberg_ledger", "n", "decided_at")
        return found if sum(row["n"] for row in found) >= total else None

    return eventually(f"{total} items decided", probe, DRAIN_S)


def _writer(caller: Caller, total: int) -> Figure:
    where = caller.server.data_dir, str(caller.tenant), "orders"
    began = time.time()
    caller.call("POST", "/api/v1/streams/orders/start")
    eventually(f"{total} rows", lambda: lake.count(*where) >= total, DRAIN_S)
    loaded = lake.table(*where)
    assert loaded is not None
    commits = [snapshot for snapshot in loaded.metadata.snapshots if snapshot.timestamp_ms / 1e3 >= began]
    span = max(snapshot.timestamp_ms for snapshot in commits) / 1e3 - began
    how = f"{total} clean events from start call to last commit ({span:.1f} s, {len(commits)} commits)"
    return Figure("writer", f"{total / span:,.0f} rows/s", how)


ALL: dict[str, Callable[[Server], list[Figure]]] = {
    "freshness": lambda server: freshness(server, 100.0, 30.0),
    "ingress": lambda server: ingress(server, 10_000),
    "throughput": lambda server: stage_and_writer(server, 100_000),
}
