"""Constant posting while the ingress worker, the streams worker, the sinks writer and the broker each die by SIGKILL.

Afterwards every acknowledged delivery has exactly one outcome per item, every clean event exactly one row.
HOOKBERG_FAULT_SEED repeats a run's traffic, order and moments of the kills.
"""

import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults import processes
from tests.faults.gather import PLATFORMS, TABLES, gather, undecided
from tests.faults.history import History, faults
from tests.faults.traffic import GITHUB, ORDERS, SECRET, Ledger, Sender
from tests.house import stack
from tests.system import lake
from tests.system.audit import audit
from tests.system.client import Caller, Server, eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(280)]

SEED = int(os.environ.get("HOOKBERG_FAULT_SEED", "1"))
VICTIMS = ("ingress", "streams", "sinks", "kafka")
RECOVERY_S = 60.0
SCHEMAS = {
    GITHUB: {"type": "object", "required": ["number"], "properties": {"number": {"type": "integer"}}},
    ORDERS: {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "integer"}}},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a server of this module's own: its processes will be killed."""
    with pytest.MonkeyPatch.context() as environ:
        environ.delenv("HOOKBERG_FAULT_SEED", raising=False)  # no setting of the product, which refuses unknown ones
        with stack.up_server(tmp_path_factory.mktemp("faults") / "data") as running:
            yield Server(running.url, running.ingest_url, running.data_dir)


@pytest.fixture(scope="module")
def history(server: Server) -> History:
    """Run the chaos, drain, and read what happened."""
    print(f"HOOKBERG_FAULT_SEED={SEED}")
    try:
        return _chaos(server)
    except AssertionError:
        for log in sorted((server.data_dir / "logs").glob("*.log")):
            print(f"--- the end of {log.name}\n" + "\n".join(log.read_text("utf-8", "replace").splitlines()[-40:]))
        raise


def _chaos(server: Server) -> History:
    caller = _set_up(server)
    rng = random.Random(SEED)
    order = rng.sample(VICTIMS, len(VICTIMS))
    with Sender(caller, SEED) as sender:
        for name in order:
            _wait_row_of_a_new_event(caller, sender)
            sender.wait_posts(rng.randrange(10, 75))  # the moment of the kill is part of the seed
            _kill(server, name, rng)
        _wait_row_of_a_new_event(caller, sender)
    print(f"killed {order}; {_said(sender.ledger)}")
    return _drained(server, caller, sender.ledger)


def _set_up(server: Server) -> Caller:
    caller = server.new_tenant("faults")
    sources: dict[str, dict[str, Any]] = {
        GITHUB: {"auth": {"type": "github", "secrets": [SECRET]}},
        ORDERS: {"auth": {"type": "none"}, "dedupe": {"path": "/id"}},
    }
    for platform, source in sources.items():
        caller.call("POST", "/api/v1/schemas", {"subject": platform, "compatibility": "none"}, expect=201)
        caller.call("POST", f"/api/v1/schemas/{platform}/versions", {"schema": SCHEMAS[platform]}, expect=201)
        pins = {"*": f"{platform}@1"}
        caller.call("POST", "/api/v1/sources", {"platform": platform, "pins": pins, **source}, expect=201)
        caller.new_stream(platform, platform, TABLES[platform])
    return caller


def _wait_row_of_a_new_event(caller: Caller, sender: Sender) -> None:
    """Wait for the row of an event that is acknowledged from now on: the whole way works."""
    before = sender.newest_clean()
    marker = eventually(
        "an event is acknowledged", lambda: new if (new := sender.newest_clean()) != before else None, RECOVERY_S
    )
    assert caller.tenant is not None
    where = caller.server.data_dir, caller.tenant, TABLES[GITHUB]

    def landed() -> bool:
        return any(row["vendor_event_id"] == marker for row in lake.rows(*where, "vendor_event_id"))

    eventually("an event posted after the kill is a row", landed, RECOVERY_S)


def _kill(server: Server, name: str, rng: random.Random) -> None:
    victim = rng.choice(sorted(processes.workers(server.data_dir, name)))
    print(f"SIGKILL {name}: pid {victim}, {processes.command(victim)}")
    processes.kill(victim)
    eventually(f"{name} {victim} is gone", lambda: processes.gone(victim), 10.0)


def _said(sent: Ledger) -> str:
    return f"{sent.posts} deliveries acknowledged, {len(sent.acked)} events, refused on the way: {sent.refused}"


def _drained(server: Server, caller: Caller, sent: Ledger) -> History:
    """Wait until the ledger covers the raw topics and the tables the clean ones, then read everything."""
    tenant = caller.tenant
    assert tenant is not None
    bootstrap = str(processes.state(server.data_dir)["kafkaBootstrapServers"])
    eventually("the ledger covers every raw record", lambda: undecided(bootstrap, tenant) == 0, RECOVERY_S)
    clean = gather(bootstrap, server.data_dir, tenant, sent).clean

    def rows() -> int:
        return sum(lake.count(server.data_dir, tenant, TABLES[platform]) for platform in PLATFORMS)

    eventually(f"{len(clean)} clean events are rows", lambda: rows() >= len(clean), RECOVERY_S)
    return gather(bootstrap, server.data_dir, tenant, sent)


def test_every_rule_holds_per_position(history: History) -> None:
    assert not (found := faults(history)), found


def test_the_run_exercised_what_it_is_for(history: History) -> None:
    outcomes = {other["outcome"] for record in history.ledger for other in record["others"]}
    assert outcomes == {"duplicate", "quarantined"}
    assert len(history.clean) > 200
    assert any(position.item > 0 for position in history.items)
    assert {position.topic.rpartition(".")[2] for position in history.items} == set(PLATFORMS)


def test_the_ledger_table_says_what_the_ledger_topic_says(server: Server, history: History) -> None:
    tenant = history.ledger[0]["topic"].partition(".")[0]
    counts = Counter((record["partition"], record["from"], count["outcome"]) for record in history.ledger
                     for count in record["counts"])  # fmt: skip
    items = sum(int(record["items"]) for record in history.ledger)

    def found() -> bool:
        return sum(int(row["n"]) for row in lake.rows(server.data_dir, tenant, "hookberg_ledger", "n")) >= items

    eventually("the ledger table holds every ledger record", found)
    rows = lake.rows(server.data_dir, tenant, "hookberg_ledger", "partition", "first_offset", "outcome", "n")
    assert Counter((row["partition"], row["first_offset"], row["outcome"]) for row in rows) == counts
    assert sum(row["n"] for row in rows) == items


def test_hookberg_audit_says_that_every_sum_holds(server: Server, history: History) -> None:
    code, said = audit(server.data_dir, "--tenant", history.ledger[0]["topic"].partition(".")[0])
    assert code == 0, said


def test_every_supervised_process_is_ready_again(server: Server) -> None:
    def ready() -> bool:
        return bool(processes.state(server.data_dir)["ready"])

    eventually("all processes are ready", ready)


def test_data_folder_names_no_secret(server: Server) -> None:
    for log in sorted(Path(server.data_dir / "logs").glob("*")):
        assert SECRET not in log.read_text("utf-8", "replace"), log.name
