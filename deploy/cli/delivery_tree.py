"""A delivery's way as a tree for a person: accepted, decided item by item, committed table by table.

Lives here: words and colours. What senders wrote is shown with control characters made visible: it may hold any.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.text import Text
from rich.tree import Tree

_STATES = {"committed": "green", "decided": "cyan", "pending": "yellow"}
_OUTCOMES = {"clean": "green", "duplicate": "cyan", "quarantined": "red", "lost": "red"}
_TABLES = {"committed": "green", "pending": "yellow"}
_WORDS = {"notSelected": "not selected by the stream's event types", "beforeStart": "before the stream's start",
          "skipped": "skipped by acceptLoss", "expired": "removed by retention"}  # fmt: skip
MAX_MESSAGE = 200


def tree(found: dict[str, Any], *, headers: bool) -> Tree:
    """Return the picture of an answer of `GET /deliveries/{id}`."""
    state = found["state"] or "not told"
    root = Tree(_line(("delivery ", ""), (found["deliveryId"], "bold"), ("  ", ""), (state, _STATES.get(state, "red"))))
    _accepted(root, found["accepted"], headers=headers)
    _decided(root, found)
    _committed(root, found)
    for why in found["why"]:
        root.add(_line(("incomplete: ", "yellow"), (why, "yellow")))
    return root


def plain(text: object) -> str:
    """Return a text whose control characters are visible, so that it moves no cursor and sets no colour."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(text))


def _line(*parts: tuple[object, str]) -> Text:
    return Text.assemble(*((plain(text), style) for text, style in parts))


def _accepted(root: Tree, accepted: dict[str, Any] | None, *, headers: bool) -> None:
    if accepted is None:
        root.add(_line(("accepted: not found", "red")))
        return
    at = accepted["position"]
    place = f"{at['topicId']}/{at['partition']}/{at['offset']}"
    if not accepted["kept"]:
        root.add(_line(("accepted", "bold"), (f"  at {place}; the raw record is not kept", "")))
        return
    source = accepted["source"]
    node = root.add(_line(("accepted", "bold"), (f"  {accepted['receivedAt']}", ""),
                          (f"  by source {source['name'] or source['id']}", "")))  # fmt: skip
    query = f"?{accepted['query']}" if accepted["query"] else ""
    auth = accepted["auth"]
    node.add(_line((f"{accepted['method']} {accepted['path']}{query}, {accepted['bytes']:,} bytes", "")))
    node.add(_line((f"proof: {auth['scheme']}, covers: {auth['coverage']}", "")))
    node.add(_line((f"stored {accepted['storedAt']} in {accepted['topic']} ", ""), (place, "dim")))
    if accepted["redriveOf"] is not None:
        of = accepted["redriveOf"]
        node.add(_line((f"a redrive of {of['topicId']}/{of['partition']}/{of['offset']} by job {of['job']}", "")))
    if headers:
        shown = node.add(_line(("headers, as stored", "")))
        for name, value in accepted["headers"]:
            shown.add(_line((name, "bold"), (": ", ""), (value, "")))


def _decided(root: Tree, found: dict[str, Any]) -> None:
    decided = found["decided"]
    if decided is None:
        root.add(_line(("decided: not told", "red")))
        return
    if decided["lag"] is not None:
        root.add(_line(("not decided yet", "yellow"), (f"  {_waits(decided['lag'])}", "")))
        return
    said = ", ".join(f"{n} {outcome}" for outcome, n in decided["outcomes"].items())
    by = "" if decided["group"] is None else f"  by worker group {decided['group']}"
    node = root.add(_line(("decided", "bold"), (f"  {decided['at'] or ''}{by}: {said}", "")))
    for item in found["items"]:
        _item(node, item)
    if found["nextItem"] is not None:
        node.add(_line((f"items from {found['nextItem']} on: give --limit", "dim")))


def _item(node: Tree, item: dict[str, Any]) -> None:
    kind = f"  {item['eventType']}" if item["eventType"] else ""
    vendor = f"  {item['vendorEventId']}" if item["vendorEventId"] else ""
    outcome = item["outcome"]
    branch = node.add(
        _line(
            (f"item {item['item']}  ", ""),
            (outcome, _OUTCOMES.get(outcome, "magenta")),
            (f"{kind}{vendor}", ""),
            (f"  event {item['eventId']}", "dim"),
        )
    )
    if (of := item["duplicateOf"]) is not None:
        at = of["position"]
        place = f"{at['topicId']}/{at['partition']}/{at['offset']}/{at['item']}"
        first = of["deliveryId"] or "a delivery that is not kept"
        when = f" of {of['receivedAt']}" if of["receivedAt"] else ""
        branch.add(_line((f"the first is {first}{when}  ", ""), (place, "dim")))
    if item["reason"]:
        where = f" at {item['pointer']}" if item["pointer"] else ""
        message = f": {item['message'][:MAX_MESSAGE]}" if item["message"] else ""
        branch.add(_line((item["reason"], "red"), (f"{where}{message}", "")))
    if (resolved := item["resolved"]) is not None:
        note = branch.add(
            _line(("became clean", "green"), (f" {resolved['at']} by delivery {resolved['deliveryId']}", ""))
        )
        for table in resolved["tables"]:
            note.add(_in_table(table))
    elif item["outcome"] == "quarantined":
        branch.add(_line(("not resolved", "yellow")))


def _in_table(one: dict[str, Any]) -> Text:
    state = one["state"]
    parts = [(f"{one['table']}  ", ""), (_WORDS.get(state, state), _TABLES.get(state, "dim")), (_cut(one, state), "")]
    if one["snapshotId"]:
        came = "  came with" if state == "expired" else " "
        parts.append((f"{came} snapshot {one['snapshotId']}{_when(one)}", ""))
    if one["lag"] is not None:
        parts.append((f"  {_waits(one['lag'])}", ""))
    return _line(*parts)


def _cut(one: dict[str, Any], state: str) -> str:
    return f"  received before {one['expiredBefore']}" if state == "expired" else ""


def _when(one: dict[str, Any]) -> str:
    if one["committedAt"]:
        return f"  {one['committedAt']}"
    return f"  before {one['committedBefore']} (expired)" if one["committedBefore"] else "  (expired)"


def _committed(root: Tree, found: dict[str, Any]) -> None:
    tables: Sequence[dict[str, Any]] = found["tables"]
    if not tables:
        if found["decided"] is not None and found["decided"]["lag"] is None:
            root.add(_line(("no table takes anything of it", "dim")))
        return
    node = root.add(_line(("tables", "bold")))
    received = (found["accepted"] or {}).get("receivedAt")
    for one in tables:
        stream = f" (stream {one['stream']})" if one["stream"] else ""
        branch = node.add(_line((one["table"], "bold"), (stream, "")))
        for snapshot in one["snapshots"]:
            after = _after(received, snapshot["committedAt"])
            where = f"  {_items(snapshot['items'])} in snapshot {snapshot['snapshotId']}{_when(snapshot)}{after}"
            branch.add(_line(("committed", "green"), (where, "")))
        told = sum(snapshot["items"] for snapshot in one["snapshots"])
        for state, n in one["items"].items():
            left = n - told if state == "committed" else n
            if left:
                waits = f"  {_waits(one['lag'])}" if state == "pending" and one["lag"] is not None else ""
                says = f"  {_items(left)}{waits}{_cut(one, state)}"
                branch.add(_line((_WORDS.get(state, state), _TABLES.get(state, "dim")), (says, "")))


def _items(n: int) -> str:
    return f"{n} item" if n == 1 else f"{n:,} items"


def _after(received: str | None, committed: str | None) -> str:
    if not received or not committed:
        return ""
    took = (datetime.fromisoformat(committed) - datetime.fromisoformat(received)).total_seconds()
    return f", {took:.1f} s after receipt"


def _waits(lag: dict[str, Any]) -> str:
    parts = []
    if lag["seconds"] is not None:
        parts.append(f"waits {lag['seconds']:.1f} s")
    if lag["records"] is not None:
        parts.append(f"{lag['records']:,} records to go")
    if lag.get("desired") == "paused":
        parts.append("the source is paused")
    elif lag.get("desired") not in (None, "running"):
        parts.append(f"the stream is {lag['desired']}")
    return ", ".join(parts)
