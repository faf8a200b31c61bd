"""The demo's sentence: set up a tenant, post, wait for the tables, show what became of everything.

Lives here: the calls and the printing. It uses only public doors: HTTP, and SQL on the tables.
"""

import asyncio
import secrets as secrets_module
import time
from collections import Counter
from random import Random
from typing import Any

import duckdb
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from deploy.cli.client import Server, ServerError
from deploy.cli.query import connect, local_tables
from deploy.demo import generate
from deploy.demo.generate import CHARGE_SCHEMA, Delivery
from deploy.demo.post import post_all

TENANT = "demo"
SUBJECT = "demo.stripe.charge"
STREAMS = {"github-events": ("github", "github_events"), "stripe-events": ("stripe", "stripe_events")}
WAIT_S = 60.0
POLL_S = 0.5
ID_WIDTH = 20
"""Characters of a vendor's id that a terminal of 80 columns has room for."""


def run(server: Server, console: Console, *, count: int, seed: int | None) -> int:
    """Run the demo; return 0 when everything became what it should, else 1 (the tables tell what did not)."""
    seed = secrets_module.randbelow(1_000_000) if seed is None else seed
    acting = Server(server.url, server.ingest, server.key, TENANT, server.data_dir)
    console.print(f"tenant [b]{TENANT}[/b], {count} signed GitHub and Stripe events, seed {seed}")
    vendor_secrets = set_up(server, acting)
    before = rows_written(acting)
    made = generate.deliveries(Random(seed), count, int(time.time()))  # noqa: S311 made-up data
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("posting", total=len(made))
        posting = post_all(acting.ingest, TENANT, vendor_secrets, made, lambda: progress.advance(bar))
        answers = asyncio.run(posting)
    expected = Counter(delivery.expect for delivery in made)
    wanted = before + expected[generate.EXPECT_ROW]
    reached, seconds = wait_for_rows(acting, wanted)
    show_outcomes(console, made, answers)
    show_ledger(console, acting)
    show_newest(console, acting)
    console.print(
        f"{reached - before} new rows of {expected[generate.EXPECT_ROW]} expected, "
        f"{seconds:.1f} s after the last answer" + ("" if reached == wanted else "  [red](not all arrived)[/red]")
    )
    console.print("\nlook yourself:")
    console.print(
        '  .venv/bin/hookberg query "SELECT event_type, count(*) FROM demo.github_events GROUP BY 1 ORDER BY 2 DESC"',
        markup=False,
        soft_wrap=True,
    )
    console.print("  .venv/bin/hookberg quarantine list --tenant demo", markup=False)
    return 0 if reached == wanted and as_expected(answers) else 1


def set_up(server: Server, acting: Server) -> dict[str, str]:
    """Make the tenant, the pinned schema, sources with fresh secrets and running streams; return the secrets."""
    if all(item["id"] != TENANT for item in server.call("GET", "/tenants", query={"limit": "200"})["items"]):
        server.call("POST", "/tenants", {"id": TENANT})
    if all(item["subject"] != SUBJECT for item in acting.call("GET", "/schemas", query={"limit": "200"})["items"]):
        acting.call("POST", "/schemas", {"subject": SUBJECT})
    version = acting.call("POST", f"/schemas/{SUBJECT}/versions", {"schema": CHARGE_SCHEMA})["version"]
    made = {platform: "whsec_" + secrets_module.token_hex(16) for platform, _ in STREAMS.values()}
    for platform, secret in made.items():
        pins = {"charge.*": f"{SUBJECT}@{version}"} if platform == "stripe" else {}
        auth = {"type": platform, "secrets": [secret]}
        acting.call("PUT", f"/sources/{platform}", {"platform": platform, "auth": auth, "pins": pins})
    for name, (platform, table) in STREAMS.items():
        topics = [f"{{tenantId}}.webhook.{platform}"]
        acting.call("PUT", f"/streams/{name}", {"name": name, "topics": topics, "targetTable": table})
        acting.call("POST", f"/streams/{name}/start")
    return made


def rows_written(acting: Server) -> int:
    """Return the rows of both tables, as the streams' status tells them."""
    return sum(int(acting.call("GET", f"/streams/{name}/status").get("rows") or 0) for name in STREAMS)


def wait_for_rows(acting: Server, wanted: int) -> tuple[int, float]:
    """Wait until the tables hold `wanted` rows; return what they hold and the seconds it took (bounded)."""
    started = time.monotonic()
    while (rows := rows_written(acting)) < wanted and time.monotonic() - started < WAIT_S:
        time.sleep(POLL_S)
    return rows, time.monotonic() - started


def as_expected(answers: Counter[tuple[str, int]]) -> bool:
    """Tell whether every delivery that should be refused got 401 and every other one 200."""
    return all(status == (401 if expect == generate.EXPECT_REFUSED else 200) for expect, status in answers)


def show_outcomes(console: Console, made: list[Delivery], answers: Counter[tuple[str, int]]) -> None:
    """Print what was posted and how it was answered."""
    table = Table("posted as", "deliveries", "answered", title="What was posted")
    meaning = {
        generate.EXPECT_ROW: "new and valid",
        generate.EXPECT_DUPLICATE: "the same again",
        generate.EXPECT_QUARANTINE: "breaks its pinned schema",
        generate.EXPECT_REFUSED: "tampered after signing",
        generate.EXPECT_CONTROL: "GitHub's ping",
    }
    for expect, count in Counter(delivery.expect for delivery in made).most_common():
        told = ", ".join(f"{n} x {status}" for (kind, status), n in sorted(answers.items()) if kind == expect)
        table.add_row(meaning[expect], str(count), told)
    console.print(table)


def show_ledger(console: Console, acting: Server) -> None:
    """Print the outcomes as the ledger table counts them (when the data folder is at hand)."""
    if acting.data_dir is None:
        return
    table_name = f"{TENANT}.hookberg_ledger"
    sql = f"SELECT topic, outcome, sum(n)::BIGINT AS items FROM {table_name} GROUP BY ALL ORDER BY 1, 3 DESC"  # noqa: S608
    try:
        rows = connect(local_tables(acting.data_dir), sql).execute(sql).fetchall()
    except (duckdb.Error, ServerError):
        return  # the ledger's first commit comes a few seconds later than the first rows
    table = Table("topic", "outcome", "items", title="What became of it (all runs)")
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)


def show_newest(console: Console, acting: Server) -> None:
    """Print the newest rows of both tables."""
    for name in STREAMS:
        try:
            rows: list[dict[str, Any]] = acting.call("GET", f"/streams/{name}/rows", query={"limit": "5"})["items"]
        except ServerError:
            continue
        table = Table(title=f"Newest rows: {name}")
        for column in ("received", "event_type", "vendor_event_id", "part/offset"):
            table.add_column(column, no_wrap=True)
        for row in rows:
            time_of_day = str(row["received_at"])[
                11:23
            ]  # the rows are seconds old: 80 columns have no room for the day
            where = f"{row['_partition']}/{row['_offset']}"
            vendor_id = str(row["vendor_event_id"])
            shown = vendor_id if len(vendor_id) <= ID_WIDTH else f"{vendor_id[: ID_WIDTH - 1]}…"
            table.add_row(time_of_day, row["event_type"], shown, where)
        console.print(table)
