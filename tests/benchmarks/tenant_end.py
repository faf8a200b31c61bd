"""What the end of a tenant costs the others: one with many events is deleted, another gets a few events a second.

Lives here: the measurement, through the control plane. Size: TENANT_RECORDS (100,000 of about 300 bytes).
"""

import os
import time

from tests.benchmarks.backlog import Waits, fill, others, told
from tests.benchmarks.measure import Figure
from tests.system.client import Server

QUIET_S = 8.0
SOURCE = {"platform": "behind", "auth": {"type": "none"}, "dedupe": {"path": "/id"}}


def tenant_end(server: Server) -> list[Figure]:
    """Delete a tenant with a full state, by its drain, tables kept; report its steps and what another one noticed."""
    records = int(os.environ.get("TENANT_RECORDS", "100000"))
    goes, stays = server.new_tenant("goes"), server.new_tenant("stays")
    source = goes.call("POST", "/api/v1/sources", SOURCE, expect=201)["id"]
    other = stays.call("POST", "/api/v1/sources", {**SOURCE, "platform": "other"}, expect=201)["id"]
    goes.new_stream("events", "behind", "events")
    waits = Waits(server.bootstrap, str(stays.tenant), str(goes.tenant))
    fill(goes, source, records, 300)
    with others(stays, other):
        waits.until(lambda: waits.decided >= records, "all of it is decided")
        quiet = time.monotonic() + QUIET_S
        let_go = time.time()
        waits.until(lambda: time.monotonic() > quiet, "a quiet time")
        began = time.time()
        job = server.admin().call("DELETE", f"/api/v1/tenants/{goes.tenant}", expect=202)["id"]

        def over() -> bool:
            return bool(server.admin().call("GET", f"/api/v1/jobs/{job}")["state"] == "succeeded")

        waits.until(over, "the tenant is gone", every_s=0.2)
        took, end = time.time() - began, time.time()
        waits.until(lambda: any(at > end for at, _ in waits.found), "the other tenant's events of that time")
    waits.close()
    return [
        Figure(
            f"a tenant with {records:,} events is deleted", f"{took:.1f} s", "drained and in its tables, tables kept"
        ),
        Figure("another tenant meanwhile", told(waits.between(began, end)), "raw -> clean, 20 events/s"),
        Figure("before", told(waits.between(let_go, began)), "the same, nothing else to do"),
    ]
