"""Outbound webhooks for a person: tables, one delivery as a tree, and what to do about an answer.

Lives here: words and colours. Not here: asking the server (webhook.py, webhook_log.py). What receivers wrote is shown
with control characters made visible: it may hold any.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Column, Table
from rich.text import Text
from rich.tree import Tree

from deploy.cli.delivery_tree import plain

MAX_BODY = 2_000
STATUS_STYLE = {"active": "green", "delivered": "green", "disabled": "dim", "canceled": "dim", "pending": "yellow",
                "awaitingRetry": "yellow", "failed": "red", "retryLimitReached": "red"}  # fmt: skip
_ADVICE = {
    "endpoint_forbidden": "a private or special address: name it in HOOKBERG_NOTIFY_ALLOW_PRIVATE, or use another",
    "name_unresolved": "look at the host in the endpoint: its name has no address where `hookberg notify` runs",
    "connection_failed": "see that the receiver listens there, and that nothing between refuses the connection",
    "tls_failed": "mend the receiver's certificate; a private authority goes into HOOKBERG_NOTIFY_CA_FILE",
    "endpoint_timeout": "answer first and work after; or give it longer: `hookberg webhook update {name} --timeout 30`",
    "answer_malformed": "what listens there speaks no HTTP: look at host and port",
    "endpoint_redirects": "name the new address: `hookberg webhook update {name} --endpoint URL`",
    "endpoint_gone": "it was disabled for that; `hookberg webhook enable {name}` when the receiver is back",
    "endpoint_error": "look into the receiver's log; deliveries are tried again by themselves",
    "answer_unexpected": "let the receiver answer 200 or 204",
    "too_many_pending": "mend the receiver, then `hookberg webhook resend {name} --failed-since 24h`",
    "waited_too_long": "mend the receiver, then `hookberg webhook resend {name} --failed-since 24h`",
}
_BY_STATUS = {
    401: "the receiver does not accept the proof: compare the secret, or give its key: `--header 'Authorization: …'`",
    403: "the receiver does not accept the proof: compare the secret, or give its key: `--header 'Authorization: …'`",
    404: "there is nothing at this path: `hookberg webhook update {name} --endpoint URL`",
    405: "this path takes no POST: `hookberg webhook update {name} --endpoint URL`",
    413: "the message is too large for it: `hookberg webhook update {name} --batch-size 1`",
    415: "it wants another form: `hookberg webhook update {name} --type Slack` (Generic, MSTeams, GoogleChat, Custom)",
    429: "it wants fewer: deliveries wait as long as its Retry-After says, and go by themselves",
}


def advice(attempt: Mapping[str, Any], name: str) -> str | None:
    """Return what to do about an attempt's answer; None when there is nothing to do."""
    status, reason = attempt["statusCode"], attempt["reason"]
    if reason is None and status is not None:
        return None
    text = _BY_STATUS.get(status) or _ADVICE.get(reason or "")
    text = text or "the receiver refuses this message: its answer above may say why"
    return text.format(name=name)


def when(epoch_ms: int | None) -> str:
    """Return a time for a person, UTC; "" for None."""
    if epoch_ms is None:
        return ""
    return dt.datetime.fromtimestamp(epoch_ms / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")


def webhooks(items: Iterable[Mapping[str, Any]]) -> Table:
    """Return webhooks as a table."""
    table = _table("name", "type", "status", "events", "endpoint", "version", "last failure")
    for one in items:
        config, failure = one["webhookConfig"], one.get("failureDetails") or {}
        goes = [config["endpoint"]] if config.get("endpoint") else []
        goes += [word for word in ("admins", "owners", "followers") if config.get(f"sendTo{word.capitalize()}")]
        wanted = ", ".join(dict.fromkeys(entity for each in one["eventFilters"] for entity in each["entities"]))
        status = "deleted" if one.get("deleted") else one["status"]
        cells = (one["name"], one["webhookType"], status, wanted, ", ".join(goes), one["version"])
        failed = " ".join((when(failure.get("lastFailedAt")), failure.get("lastFailedReason") or "")).strip()
        table.add_row(*(_cell(cell) for cell in (*cells, failed)))
    return table


def deliveries(items: Iterable[Mapping[str, Any]]) -> Table:
    """Return deliveries as a table."""
    table = _table("made at", "delivery", "kind", "state", "events", "attempts", "last answer", "next attempt")
    for one in items:
        said = one["text"] if one["attempts"] else ""
        row = (when(one["createdAt"]), one["id"], one["kind"], one["state"], one["events"], one["attempts"], said,
               when(one["nextAttempt"]))  # fmt: skip
        table.add_row(*(_cell(cell) for cell in row))
    return table


def versions(items: Iterable[Mapping[str, Any]]) -> Table:
    """Return the versions of a webhook as a table: what changed in each."""
    table = _table("version", "at", "by", "changed")
    for one in items:
        change = one.get("changeDescription") or {}
        changed = [
            f"{mark}{delta['name']}"
            for mark, name in (("+", "fieldsAdded"), ("", "fieldsUpdated"), ("-", "fieldsDeleted"))
            for delta in change.get(name) or ()
        ]
        row = (one["version"], when(one["updatedAt"]), one["updatedBy"], ", ".join(changed))
        table.add_row(*(_cell(cell) for cell in row))
    return table


def contacts(items: Iterable[Mapping[str, Any]]) -> Table:
    """Return contacts as a table."""
    table = _table("name", "type", "admin", "teams", "follows", "endpoint")
    for one in items:
        row = (one["name"], one["type"], "yes" if one["admin"] else "", ", ".join(one["teams"]),
               ", ".join(one["follows"]), one["endpoint"] or "")  # fmt: skip
        table.add_row(*(_cell(cell) for cell in row))
    return table


def delivery(found: Mapping[str, Any], name: str) -> Tree:
    """Return one delivery as a tree: its events, each attempt with request and answer, and what to do."""
    root = Tree(Text.assemble("delivery ", (plain(found["id"]), "bold"), "  ", _cell(found["state"])))
    count = f"{found['events']} event{'' if found['events'] == 1 else 's'}"
    held = root.add(Text(f"{found['kind']}, {count}, made {when(found['createdAt'])}"))
    for event in found["eventList"]:
        held.add(Text(plain(f"{event['eventType']} {event['entityType']} {event['entityFullyQualifiedName']}")
                      + f"  {event['eventId']}"))  # fmt: skip
    for attempt in found["attemptList"]:
        _attempt(root, attempt)
    if found["nextAttempt"] is not None:
        root.add(Text(f"next attempt {when(found['nextAttempt'])}", style="yellow"))
    last = found["attemptList"][-1] if found["attemptList"] else None
    if last is not None and found["state"] != "delivered" and (said := advice(last, name)):
        root.add(Text(f"do: {said}"))
    return root


def statistics(told: Mapping[str, Any], name: str) -> tuple[Text, Table]:
    """Return a webhook's figures: one line, and a table of the last hour, the last day and the log."""
    waits = f"{told['pending']:,} pending"
    if told["oldestPendingAt"] is not None:
        waits += f", the oldest since {when(told['oldestPendingAt'])}"
    named = (("success", told["lastSuccessAt"]), ("failure", told["lastFailureAt"]))
    ends = [f"last {word} {when(at)}" for word, at in named if at is not None]
    head = Text(" · ".join((plain(name), waits, *ends)))
    table = _table(
        "over the last", "attempts", "accepted", "p50", "p95", "2xx", "3xx", "4xx", "5xx", "no answer", "given up"
    )
    for window in ("hour", "day", "log"):
        one = told[window]
        answers = one["attempts"]
        rate = "" if one["successRate"] is None else f"{one['successRate']:.1%}"
        took = ["" if one[key] is None else f"{one[key]:,} ms" for key in ("p50Ms", "p95Ms")]
        counts = [answers[answer] for answer in ("2xx", "3xx", "4xx", "5xx", "none")]
        given_up = one["deliveries"]["retryLimitReached"] + one["deliveries"]["canceled"]
        table.add_row(*(_cell(each) for each in (window, sum(counts), rate, *took, *counts, given_up)))
    return head, table


def attempt_text(attempt: Mapping[str, Any], name: str) -> str:
    """Return one attempt in words, and what to do about it."""
    took = f"{attempt['durationMs']:,} ms"
    body = plain(str(attempt["response"].get("body") or ""))[:MAX_BODY]
    lines = [f"{attempt['text']}, after {took}, from {plain(attempt['url'])}"]
    detail = attempt["response"].get("detail")
    if attempt["statusCode"] is None and detail:
        lines.append(f"  {plain(detail)}")
    if body:
        lines.append(f"  it said: {body}")
    if said := advice(attempt, name):
        lines.append(f"  do: {said}")
    return "\n".join(lines)


def _attempt(root: Tree, attempt: Mapping[str, Any]) -> None:
    style = "green" if attempt["reason"] is None and attempt["statusCode"] is not None else "red"
    head = f"attempt {attempt['number']}  {when(attempt['at'])}  {attempt['durationMs']:,} ms  "
    node = root.add(Text.assemble(head, (plain(attempt["text"]), style)))
    node.add(Text(plain(f"POST {attempt['url']}"), style="dim"))
    for word, part in (("sent", attempt["request"]), ("answered", attempt["response"])):
        for header, value in _headers(part.get("headers")):
            node.add(Text(plain(f"{word}: {header}: {value}"), style="dim"))
        if body := part.get("body"):
            node.add(Text(f"{word}: {plain(body)[:MAX_BODY]}"))
    if detail := attempt["response"].get("detail"):
        node.add(Text(plain(detail), style="dim"))


def _headers(told: object) -> Sequence[tuple[object, object]]:
    return [*told.items()] if isinstance(told, Mapping) else []


def _table(*names: str) -> Table:
    return Table(*(Column(name, overflow="fold") for name in names))


def _cell(value: object) -> Text:
    text = plain(value)
    return Text(text, style=STATUS_STYLE.get(text, ""))
