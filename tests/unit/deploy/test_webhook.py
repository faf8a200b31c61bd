"""`hookberg webhook`, for a person: options to a definition, tables, one delivery, what to do about an answer."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from deploy.cli import app, webhook_log, webhook_words
from deploy.cli.client import Server, ServerError
from deploy.cli.webhook_log import moment
from deploy.cli.webhook_options import filters, merged, options, secret_of

AT = 1_790_000_000_000
ID = "018bcfe5-6800-7000-8000-000000000001"
ENDPOINT = "https://r.example/in"
HOOK: dict[str, Any] = {
    "id": ID, "name": "changes", "webhookType": "Slack", "status": "awaitingRetry", "version": 0.2, "deleted": False,
    "webhookConfig": {"endpoint": ENDPOINT, "sendToOwners": True},
    "eventFilters": [{"entities": ["stream"]}, {"entities": ["stream", "table"]}],
    "failureDetails": {"lastFailedAt": AT, "lastFailedReason": "endpoint_error\x1b[31m"},
}  # fmt: skip
ATTEMPT: dict[str, Any] = {
    "number": 2, "at": AT, "durationMs": 1204, "url": ENDPOINT, "statusCode": 503, "reason": "endpoint_error",
    "text": "503 Service Unavailable: The endpoint failed (5xx)",
    "request": {"headers": {"content-type": "application/json"}, "body": '{"n":1}'},
    "response": {"headers": {}, "body": "down\x1b[2J", "detail": ""},
}  # fmt: skip
LINE: dict[str, Any] = {
    "id": "d1", "kind": "event", "state": "pending", "events": 2, "attempts": 2, "createdAt": AT,
    "nextAttempt": AT + 60_000, "text": ATTEMPT["text"],
}  # fmt: skip
DELIVERY: dict[str, Any] = {
    **LINE,
    "eventList": [{"eventType": "entityUpdated", "entityType": "stream", "entityFullyQualifiedName": "acme.orders",
                   "eventId": "e1"}],
    "attemptList": [{**ATTEMPT, "number": 1, "statusCode": None, "reason": "endpoint_timeout",
                     "text": "The endpoint gave no answer in time"}, ATTEMPT],
}  # fmt: skip
WINDOW = {
    "attempts": {"2xx": 9, "3xx": 0, "4xx": 0, "5xx": 1, "none": 0}, "successRate": 0.9, "p50Ms": 12, "p95Ms": 1204,
    "measured": 10, "deliveries": {"pending": 1, "delivered": 8, "retryLimitReached": 1, "canceled": 1},
}  # fmt: skip
EMPTY = {**WINDOW, "attempts": dict.fromkeys(WINDOW["attempts"], 0), "successRate": None, "p50Ms": None, "p95Ms": None}  # type: ignore[call-overload]
STATS = {
    "pending": 1234, "oldestPendingAt": AT, "lastSuccessAt": AT, "lastFailureAt": None, "hour": EMPTY, "day": WINDOW,
    "log": WINDOW,
}  # fmt: skip


TESTED: dict[str, Any] = {"deliveryId": "d9", "attempt": ATTEMPT}


def printed(*what: Any) -> str:
    out = StringIO()
    console = Console(file=out, width=180)
    for each in what:
        console.print(each)
    return out.getvalue()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Answer every call of the commands; return what was asked."""
    calls: list[tuple[Any, ...]] = []

    def call(_self: Server, method: str, path: str, body: Any = None, *, query: dict[str, str] | None = None) -> Any:
        calls.append((method, path, body, query))
        if path.endswith("/test"):
            return dict(TESTED)
        if path.endswith("/deliveries"):
            return {"items": [LINE], "nextCursor": None}
        if path.endswith("/resend"):
            return {"matching": 12_000, "resending": 10_000}
        if path == "/webhooks" and method == "GET":
            return {"items": [HOOK], "nextCursor": None}
        return HOOK

    monkeypatch.setattr(Server, "call", call)
    return calls


def run(*arguments: str, given: str | None = None) -> tuple[int, str]:
    server = ["--url", "http://s.example", "--key", "k"]
    done = CliRunner().invoke(app, ["webhook", *arguments, *server], input=given)
    return done.exit_code, done.output + (str(done.exception) if isinstance(done.exception, ServerError) else "")


def test_a_list_shows_where_it_goes_and_how_it_stands() -> None:
    text = printed(webhook_words.webhooks([HOOK, {**HOOK, "deleted": True, "failureDetails": None}]))
    for part in ("changes", "Slack", "awaitingRetry", "stream, table", f"{ENDPOINT}, owners", "0.2", "deleted",
                 "2026-09-21 14:13:20 endpoint_error\\x1b[31m"):  # fmt: skip
        assert part in text, part
    assert "\x1b" not in text


def test_one_delivery_shows_events_attempts_and_what_to_do() -> None:
    text = printed(webhook_words.delivery(DELIVERY, "changes"))
    for part in ("entityUpdated stream acme.orders", "attempt 1", "The endpoint gave no answer in time", "attempt 2",
                 "503 Service Unavailable", 'sent: {"n":1}', "answered: down\\x1b[2J", "1,204 ms",
                 "next attempt 2026-09-21 14:14:20", "do: look into the receiver's log"):  # fmt: skip
        assert part in text, part
    assert "\x1b" not in text


def test_figures_name_each_window_and_leave_out_what_was_not_measured() -> None:
    text = printed(*webhook_words.statistics(STATS, "changes"))
    head, *rest = text.splitlines()
    assert head == "changes · 1,234 pending, the oldest since 2026-09-21 14:13:20 · last success 2026-09-21 14:13:20"
    hour, day = (next(line for line in rest if f"│ {name} " in line) for name in ("hour", "day"))
    assert [cell.strip() for cell in day.split("│")[1:-1]] == [
        "day", "10", "90.0%", "12 ms", "1,204 ms", "9", "0", "0", "1", "0", "2",
    ]  # fmt: skip
    assert [cell.strip() for cell in hour.split("│")[1:6]] == ["hour", "0", "", "", ""]


def test_versions_say_what_changed() -> None:
    change = {"fieldsAdded": [{"name": "tags"}], "fieldsUpdated": [{"name": "batchSize"}],
              "fieldsDeleted": [{"name": "owner"}]}  # fmt: skip
    text = printed(
        webhook_words.versions([{"version": 0.2, "updatedAt": AT, "updatedBy": "k", "changeDescription": change}])
    )
    assert "+tags, batchSize, -owner" in text


@pytest.mark.parametrize(
    ("status", "reason", "said"),
    [
        (204, None, None),
        (None, "endpoint_forbidden", "HOOKBERG_NOTIFY_ALLOW_PRIVATE"),
        (None, "endpoint_timeout", "hookberg webhook update changes --timeout 30"),
        (302, "endpoint_redirects", "--endpoint URL"),
        (401, "endpoint_refused", "compare the secret"),
        (429, "endpoint_refused", "Retry-After"),
        (418, "endpoint_refused", "its answer above"),
        (410, "endpoint_gone", "hookberg webhook enable changes"),
    ],
)
def test_says_what_to_do_about_an_answer(status: int | None, reason: str | None, said: str | None) -> None:
    told = webhook_words.advice({"statusCode": status, "reason": reason}, "changes")
    assert told is None if said is None else told is not None and said in told


def test_options_say_a_definition() -> None:
    assert filters(["updated", "entityDeleted"], ["stream"], ["state"], None) == [
        {"eventType": "entityUpdated", "entities": ["stream"], "include": ["state"]},
        {"eventType": "entityDeleted", "entities": ["stream"], "include": ["state"]},
    ]
    assert [each["eventType"] for each in filters(None, None, None, None)] == [
        "entityCreated", "entityUpdated", "entitySoftDeleted", "entityDeleted",
    ]  # fmt: skip
    said = options(ENDPOINT, "Slack", ["X-Team: data"], ["owners"], "s", 1, 5, "other", "why")
    assert said == {
        "webhookType": "Slack", "batchSize": 1, "description": "why", "fallback": {"type": "webhook", "name": "other"},
        "webhookConfig": {"endpoint": ENDPOINT, "timeout": 5, "secretKey": "s", "headers": {"X-Team": "data"},
                          "sendToOwners": True},
    }  # fmt: skip
    kept = merged({"name": "n", "webhookConfig": {"timeout": 3}}, {"webhookConfig": {"endpoint": ENDPOINT}})
    assert kept == {"name": "n", "webhookConfig": {"timeout": 3, "endpoint": ENDPOINT}}
    assert options(None, None, None, None, None, None, None, None, None) == {}


def test_wrong_options_say_the_right_ones() -> None:
    with pytest.raises(ServerError, match="softDeleted"):
        filters(["changed"], None, None, None)
    with pytest.raises(ServerError, match="Name: value"):
        options(None, None, ["X-Team"], None, None, None, None, None, None)
    with pytest.raises(ServerError, match="admins, owners, followers"):
        options(None, None, None, ["friends"], None, None, None, None, None)


def test_a_secret_comes_from_a_file_or_is_made_and_never_from_an_option(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(" s3cret\n", "utf-8")
    assert secret_of(file, new=False) == "s3cret"
    made = secret_of(None, new=True)
    assert made is not None
    assert (made[:6], len(made)) == ("whsec_", 50)
    file.write_text("\n", "utf-8")
    with pytest.raises(ServerError, match="holds no secret"):
        secret_of(file, new=False)


def test_an_age_is_a_time_so_long_ago() -> None:
    assert moment("2h", 7200.5) == "500"
    assert moment("2026-11-21T10:00:00Z") == "2026-11-21T10:00:00Z"


def test_a_webhook_is_made_and_its_new_secret_shown_once(asked: list[tuple[Any, ...]]) -> None:
    code, text = run("create", "changes", "--endpoint", ENDPOINT, "--event", "updated", "--new-secret")
    ((_, path, body, _),) = asked
    assert (code, path, body["name"]) == (0, "/webhooks", "changes")
    assert body["webhookConfig"]["secretKey"] in text
    assert "hookberg webhook test changes" in text


def test_a_file_and_options_make_one_definition(asked: list[tuple[Any, ...]]) -> None:
    code, _ = run("create", "-f", "-", "--endpoint", ENDPOINT, given='{"name": "n", "webhookConfig": {"timeout": 3}}')
    assert (code, asked[0][2]) == (0, {"name": "n", "webhookConfig": {"timeout": 3, "endpoint": ENDPOINT}})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create",), "hookberg webhook create changes --endpoint"),
        (("update", "changes"), "say what to change"),
        (("resend", "changes"), "--failed-since 2h"),
        (("resend", "changes", "d1", "--failed-since", "2h"), "name one"),
    ],
)
def test_a_command_that_says_too_little_says_how(
    asked: list[tuple[Any, ...]], arguments: tuple[str, ...], said: str
) -> None:
    code, text = run(*arguments)
    assert (code, asked) == (1, [])
    assert said in text


def test_names_become_ids_and_commands_calls(asked: list[tuple[Any, ...]]) -> None:
    for arguments in (("enable", "changes"), ("disable", ID), ("delete", ID, "--hard"), ("restore", ID),
                      ("deliveries", ID, "--failed", "--since", "2026-11-21T10:00:00Z"), ("resend", ID, "d1"),
                      ("update", ID, "--timeout", "30")):  # fmt: skip
        assert run(*arguments)[0] == 0, arguments
    assert asked[0] == ("GET", "/webhooks/name/changes", None, {"include": "all"})
    assert asked[1:] == [
        ("PATCH", f"/webhooks/{ID}", {"enabled": True}, None),
        ("PATCH", f"/webhooks/{ID}", {"enabled": False}, None),
        ("DELETE", f"/webhooks/{ID}", None, {"hardDelete": "true"}),
        ("POST", f"/webhooks/{ID}/restore", None, None),
        ("GET", f"/webhooks/{ID}/deliveries", None,
         {"failed": "true", "since": "2026-11-21T10:00:00Z", "limit": "50"}),
        ("POST", f"/webhooks/{ID}/deliveries/d1/resend", None, None),
        ("PATCH", f"/webhooks/{ID}", {"webhookConfig": {"timeout": 30}}, None),
    ]  # fmt: skip


def test_a_test_prints_its_attempt_and_fails_when_the_receiver_did(asked: list[tuple[Any, ...]]) -> None:
    code, text = run("test", ID)
    assert (code, asked[0][3]) == (1, {"wait": "10"})
    assert text.splitlines() == [
        f"503 Service Unavailable: The endpoint failed (5xx), after 1,204 ms, from {ENDPOINT}",
        "  it said: down\\x1b[2J",
        "  do: look into the receiver's log; deliveries are tried again by themselves",
    ]


def test_a_test_that_nobody_sends_says_who_should(
    asked: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_log, "PATIENCE_S", 0.0)
    monkeypatch.setitem(TESTED, "attempt", None)
    code, text = run("test", ID)
    assert (code, len(asked)) == (1, 1)
    assert "is `hookberg notify` running" in text


def test_a_resend_of_many_says_how_many_are_left(asked: list[tuple[Any, ...]]) -> None:
    _, text = run("resend", ID, "--failed-since", "2h")
    assert asked[0][2]["since"].isdigit()
    assert "10000 will be sent again; 2000 younger ones match too" in text
