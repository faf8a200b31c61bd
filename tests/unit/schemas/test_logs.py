"""Logs: one JSON object a line, nothing secret in it whatever way it came, bounded in length and in number."""

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from schemas.logs.lines import MAX_LINE, Lines
from schemas.logs.redact import HIDDEN, plain, text
from schemas.logs.repeats import Repeats

SECRETS = (
    "hbk_abcdefghijkl", "whsec_MfKQ9r8GKYqr", "abcdefghijklmnopqrstuvwxyz", "p4ss-of-a-url", "sasl-p4ss",
    "bear3r-token", "signing-s3cret", "s3cret-in-a-local", "c00kie-value", "key-in-pem",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0",
)  # fmt: skip
CODE = r"""
import asyncio, logging, sys, threading, warnings
from schemas import logs
logs.configure("test", fmt=sys.argv[1], level="debug")
logs.take_over()
SAID = (
    "told: hbk_abcdefghijkl at /in/abcdefghijklmnopqrstuvwxyz", "key whsec_MfKQ9r8GKYqr",
    "postgresql+psycopg://user:p4ss-of-a-url@db/hookberg", "Authorization: Bearer bear3r-token",
    "{'Authorization': 'token bear3r-token', 'Cookie': 'a=c00kie-value; b=c00kie-value'}",
    "(b'Authorization', b'Basic bear3r-token')", 'sasl.password=sasl-p4ss security.protocol=SASL_SSL',
    '{"secret": "signing-s3cret", "password": "sasl-p4ss with \\" and space"}',
    "jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    "-----BEGIN PRIVATE KEY-----\nkey-in-pem\n-----END PRIVATE KEY-----",
)
class Odd:
    def __repr__(self): return "Odd(secret='signing-s3cret')"
def fail(text):
    at_hand = "s3cret" + "-in-a-local"
    raise ValueError(text)
NAMES = "aiohttp.server", "faust", "sqlalchemy", "librdkafka"
OURS, THEIRS = logs.logger("ours"), [logging.getLogger(name) for name in NAMES]
for said in SAID:
    OURS.info(said, text=said, deep={"a": [{"b": (said, {"c": said})}]}, error=ValueError(said), raw=said.encode())
    named = {"authorization": "bear3r-token", "signing_secret": ["signing-s3cret"]}
    OURS.info("named", deep={"apiKey": "signing-s3cret", "a": [named]}, **named)
    for log in (OURS, *THEIRS):
        try:
            try:
                fail(said)
            except ValueError as first:
                raise RuntimeError("and then") from first
        except RuntimeError:
            log.exception("it_failed")
    for log in THEIRS:
        more = {"cookie": "c00kie-value", "more": said}
        log.error("with %s and %r", said, {"password": "sasl-p4ss", "x": said}, extra=more)
    warnings.warn(said, RuntimeWarning)
OURS.info("odd", odd=Odd(), number=1 << 80, broken="\ud800", delivery_id="d-1", source="s", stream="t", reason="r")
logging.getLogger("aiohttp.server").error("%d", "hbk_abcdefghijkl")
async def loop_error():
    asyncio.get_running_loop().call_soon(fail, SAID[0])
    await asyncio.sleep(0)
asyncio.run(loop_error())
thread = threading.Thread(target=fail, args=(SAID[1],), name="worker"); thread.start(); thread.join()
from confluent_kafka import Producer
from schemas.backing.kafka import client_config
from schemas.settings.processes import KafkaSettings
given = KafkaSettings(kafka_bootstrap_servers="127.0.0.1:1", kafka_security_protocol="SASL_PLAINTEXT",
    kafka_sasl_mechanism="PLAIN", kafka_sasl_username="u", kafka_sasl_password="sasl-p4ss")
producer = Producer({**client_config(given), "debug": "security,conf"})
for _ in range(20): producer.poll(0.02)
from sqlalchemy import create_engine
try: create_engine("postgresql+psycopg://user:p4ss-of-a-url@127.0.0.1:1/x?password=p4ss-of-a-url").connect()
except Exception: OURS.exception("no_database")
fail(SAID[2])
"""
FOLDER = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def said() -> list[dict[str, Any]]:
    done = subprocess.run([sys.executable, "-c", CODE, "json"], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr[-2000:]
    assert [secret for secret in SECRETS if secret in done.stderr] == []
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_each_line_is_one_object_and_says_when_who_and_what(said: list[dict[str, Any]]) -> None:
    assert len(said) > 130
    for line in said:
        assert {"level", "event"} <= line.keys()
    whole = [line for line in said if line["event"] != "log_not_written"]
    assert all(list(line)[:4] == ["time", "level", "event", "process"] for line in whole)
    assert {line["process"] for line in whole} == {"test"}
    [odd] = [line for line in said if line["event"] == "odd"]
    assert (odd["deliveryId"], odd["source"], odd["stream"], odd["reason"]) == ("d-1", "s", "t", "r")
    assert odd["number"] == str(1 << 80)


def test_whatever_prints_by_itself_is_a_line_too(said: list[dict[str, Any]]) -> None:
    """Uncaught errors of the main thread, of others and of the loop; warnings; librdkafka; logging's own mistakes."""
    uncaught = [line for line in said if line["event"] == "uncaught_error"]
    assert [line.get("thread") for line in uncaught] == ["worker", None]
    assert all("ValueError" in line["exception"] for line in uncaught)
    assert any("librdkafka" in line["event"] or "rdkafka#producer" in line["event"] for line in said)
    assert any("RuntimeWarning" in line["event"] for line in said)
    assert any(line["event"] == "log_not_written" for line in said)
    assert any("Exception in callback" in line["event"] for line in said)


def test_a_trace_is_told_with_its_causes_and_without_values(said: list[dict[str, Any]]) -> None:
    failed = [line for line in said if line["event"] == "it_failed"]
    assert len(failed) == 50
    assert all("RuntimeError: and then" in line["exception"] and "ValueError: " in line["exception"] for line in failed)


def test_text_for_people_hides_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, "console"], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert "uncaught_error" in done.stderr
    assert [secret for secret in SECRETS if secret in done.stderr] == []


@pytest.mark.parametrize(
    "harmless",
    [
        "topics_held",
        "password authentication failed for user x",
        "http://host:8080/a/b",
        "signature_mismatch",
        "5 tokens",
    ],
)
def test_what_is_no_secret_is_told(harmless: str) -> None:
    assert text(harmless) == harmless


def test_what_is_deep_wide_or_has_no_text_ends() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    endless: list[Any] = []
    endless.append(endless)
    assert "…" in str(plain(endless))
    assert len(plain({str(n): n for n in range(1000)})) == 100
    assert plain(Broken()) == "<Broken: RuntimeError in its text>"
    assert plain({"apiKey": 1, "x": None}) == {"apiKey": HIDDEN, "x": None}


@pytest.mark.parametrize(
    "more",
    [
        {"a": "x" * 100_000},
        {f"a{n}": "ü" * 3000 for n in range(30)},
        {"exception": "e" * 90_000},
        {"l": ["x" * 900] * 99},
    ],
    ids=["long", "many", "trace", "list"],
)
@pytest.mark.parametrize("fmt", ["json", "console"])
def test_a_line_is_bounded_and_whole(fmt: str, more: dict[str, Any]) -> None:
    event = {"time": "t", "level": "error", "event": "it_failed", "source": "s"} | more
    made = Lines("test", fmt)(None, "error", event)
    assert len(made.encode()) <= 2 * MAX_LINE
    if fmt == "json":
        assert len(made.encode()) <= MAX_LINE
        assert json.loads(made)["source"] == "s"


def test_what_is_said_too_often_is_counted_by_what_it_is() -> None:
    now = [0.0]
    repeats = Repeats(3, lambda: now[0])

    def say(event: str, reason: str, source: str = "a") -> bool:
        said: Any = {"event": event, "reason": reason, "source": source}
        return repeats.takes(logging.LogRecord("ours", logging.WARNING, "", 0, said, None, None))

    assert [say("refused", "stale") for _ in range(5)] == [True, True, True, False, False]
    assert say("refused", "other")
    assert say("refused", "stale", "b")
    assert list(repeats.over()) == []
    now[0] = 61.0
    [count] = repeats.over()
    assert (count.__dict__["of"], count.__dict__["left_out"]) == ("refused reason=stale source=a", 2)
    assert say("refused", "stale")
    assert list(repeats.over(everything=True)) == []
    assert all(Repeats(0, lambda: 0.0).takes(logging.LogRecord("x", 10, "", 0, "a", None, None)) for _ in range(99))


def test_different_lines_that_are_watched_are_bounded() -> None:
    repeats = Repeats(1, lambda: 0.0)
    for number in range(5000):
        repeats.takes(logging.LogRecord("x", 10, "", 0, f"line {number}", None, None))
    assert len(repeats._seen) <= 2000
