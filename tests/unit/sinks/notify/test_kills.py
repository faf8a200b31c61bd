"""SIGKILL before every write and around every request: whatever was matched arrives, under ids that never change."""

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import orjson

from tests.system.receiver import receiving
from tests.unit.sinks.notify.kills import EVENTS

LIMIT_S = 240


def test_a_process_killed_anywhere_loses_nothing_and_changes_no_message(tmp_path: Path) -> None:
    with receiving() as receiver:
        command = [sys.executable, "-m", "tests.unit.sinks.notify.kills", str(tmp_path), receiver.url("kill")]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert ran.returncode == 0, ran.stderr[-3000:]
        told = json.loads(ran.stdout.splitlines()[-1])
        assert told["kills"] >= 8, "acquire, take in, claim, two requests of two points each, record"
        again = 0
        for at in range(1, told["kills"] + 2):
            messages: dict[str, set[tuple[str, ...]]] = defaultdict(set)
            came = receiver.at(f"kill/{at}")
            for one in came:
                messages[one.headers["webhook-id"]].add(tuple(event["eventId"] for event in orjson.loads(one.body)))
            assert all(len(contents) == 1 for contents in messages.values()), f"killed at {at}: a message has changed"
            heard = sorted(event for (events,) in messages.values() for event in events)
            assert heard == [f"e{number}" for number in range(EVENTS)], f"killed at {at}"
            again += len(came) - len(messages)
        assert again >= 1, "no request was ever repeated: the kills missed the time between answer and record"
