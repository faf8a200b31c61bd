"""`hookberg delivery`: what a person may paste, what is printed, and that senders' text moves no cursor."""

from io import StringIO
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from deploy.cli.client import ServerError
from deploy.cli.delivery import address
from deploy.cli.delivery_tree import plain, tree

ID = "019d0bd2-7a80-7cc3-98c4-dc0c0c07398f"
RECEIPT = f"/api/v1/deliveries/{ID}?at=RAWTOPICIDRAWTOPICID01.3.17&mac=0123456789abcdef"
QUERY = {"at": "RAWTOPICIDRAWTOPICID01.3.17", "mac": "0123456789abcdef"}
AT = {"topicId": "T", "partition": 3, "offset": 17}
TABLE = {
    "stream": "orders", "table": "acme.orders", "state": "committed", "snapshotId": "77",
    "committedAt": "2026-03-18T10:00:02.000Z", "committedBefore": None, "expiredBefore": None, "lag": None,
}  # fmt: skip
ITEM = {
    "item": 0, "outcome": "clean", "eventId": "e-0", "eventType": "push", "vendorEventId": "v", "schema": None,
    "reason": None, "pointer": None, "message": None, "duplicateOf": None, "resolved": None, "tables": [TABLE],
}  # fmt: skip


def way(**more: Any) -> dict[str, Any]:
    accepted = {
        "position": AT, "kept": True, "topic": "acme.webhook.github", "source": {"id": "s", "name": "github-main"},
        "receivedAt": "2026-03-18T10:00:00.000Z", "storedAt": "2026-03-18T10:00:00.004Z", "bytes": 1234,
        "method": "POST", "path": "/in/***", "query": "", "headers": [["X-A", "b"]],
        "auth": {"scheme": "github", "coverage": "full", "secretId": "1"}, "eventKey": None, "traceparent": None,
        "shed": None, "redriveOf": None,
    }  # fmt: skip
    return {
        "deliveryId": ID, "state": "committed", "accepted": accepted,
        "decided": {"at": "2026-03-18T10:00:01.000Z", "group": "0", "outcomes": {"clean": 1}, "lag": None},
        "items": [ITEM], "nextItem": None, "incomplete": False, "why": [],
        "tables": [
            {
                "stream": "orders", "streamId": "i", "table": "acme.orders", "items": {"committed": 1}, "lag": None,
                "expiredBefore": None, "snapshots": [{**TABLE, "items": 1}],
            }
        ],
    } | more  # fmt: skip


def printed(found: dict[str, Any], *, colour: bool = False, headers: bool = False, width: int = 160) -> str:
    out = StringIO()
    Console(file=out, width=width, force_terminal=colour, color_system="standard" if colour else None).print(
        tree(found, headers=headers)
    )
    return out.getvalue()


@pytest.mark.parametrize("text", [RECEIPT, f"https://hooks.example{RECEIPT}", f" '{RECEIPT}' ", RECEIPT.lstrip("/")])
def test_a_receipt_is_taken_as_it_was_answered(text: str) -> None:
    if not text.startswith("api"):
        assert address(text) == (ID, QUERY)
    else:
        with pytest.raises(ServerError):
            address(text)


def test_an_id_alone_is_taken() -> None:
    assert address(ID) == (ID, {})


@pytest.mark.parametrize("text", ["", "a/b", RECEIPT.split("&", maxsplit=1)[0], f"{ID}?mac=1", "x" * 200])
def test_half_a_receipt_is_refused_with_what_to_do(text: str) -> None:
    with pytest.raises(ServerError, match="quote it"):
        address(text)


def test_the_way_is_printed_from_accepted_to_committed() -> None:
    said = printed(way(), headers=True)
    for part in (
        f"delivery {ID}  committed", "by source github-main", "POST /in/***, 1,234 bytes", "T/3/17", "X-A: b",
        "item 0  clean  push  v", "acme.orders (stream orders)", "1 item in snapshot 77", "2.0 s after receipt",
    ):  # fmt: skip
        assert part in said, said
    assert "\x1b" not in said
    assert "\x1b[32m" in printed(way(), colour=True)


def test_what_is_not_there_is_said() -> None:
    pending = way(
        state="pending", items=[], tables=[],
        decided={"at": None, "group": None, "outcomes": {},
                 "lag": {"records": 5, "seconds": 1.25, "desired": "paused"}},
    )  # fmt: skip
    assert "not decided yet  waits 1.2 s, 5 records to go, the source is paused" in printed(pending)
    gone = way(accepted={"position": AT, "kept": False, "source": None}, why=["retention"])
    assert "the raw record is not kept" in printed(gone)
    assert "incomplete: retention" in printed(gone)
    unknown = way(state=None, accepted=None, decided=None, items=[], tables=[])
    assert "not told" in printed(unknown)


def test_duplicates_and_quarantined_items_say_of_what_and_why() -> None:
    place = {**AT, "item": 2}
    duplicate = ITEM | {
        "outcome": "duplicate", "tables": [],
        "duplicateOf": {"position": place, "deliveryId": "first-one", "receivedAt": "2026-03-18T09:00:00.000Z"},
    }  # fmt: skip
    failed = ITEM | {
        "item": 1, "outcome": "quarantined", "reason": "schema_violation", "pointer": "/a", "message": "not an integer",
        "resolved": {"by": place, "at": "2026-03-18T11:00:00.000Z", "deliveryId": "good-one", "tables": [TABLE]},
    }  # fmt: skip
    said = printed(way(items=[duplicate, failed], nextItem=2))
    for part in (
        "the first is first-one of 2026-03-18T09:00:00.000Z", "T/3/17/2", "schema_violation at /a: not an integer",
        "became clean 2026-03-18T11:00:00.000Z by delivery good-one", "items from 2 on",
    ):  # fmt: skip
        assert part in said, said


def test_a_row_that_retention_removed_is_said_to_have_been_committed_and_removed() -> None:
    gone = TABLE | {"state": "expired", "expiredBefore": "2026-03-20T00:00:00.000Z"}
    table = way()["tables"][0] | {
        "items": {"committed": 1, "expired": 2}, "expiredBefore": gone["expiredBefore"],
    }  # fmt: skip
    resolved = {"by": {**AT, "item": 2}, "at": "2026-03-18T11:00:00.000Z", "deliveryId": "x", "tables": [gone]}
    said = printed(way(items=[ITEM | {"resolved": resolved}], tables=[table]))
    for part in (
        "removed by retention  received before 2026-03-20T00:00:00.000Z  came with snapshot 77",
        "removed by retention  2 items  received before 2026-03-20T00:00:00.000Z", "1 item in snapshot 77",
    ):  # fmt: skip
        assert part in said, said


@given(st.text())
@example("x" * 140)  # the line of 160 ends inside the word that is looked for
def test_what_senders_wrote_moves_no_cursor_and_is_no_markup(text: str) -> None:
    assert plain(text).isprintable()
    found = way(items=[ITEM | {"eventType": f"{text}\x1b[2J[red]x", "vendorEventId": text}])
    for width in (160, 1_000_000):  # as a person sees it, and where no wrap divides the word
        said = printed(found, width=width)
        assert "\x1b" not in said
    assert "[red]x" in said
