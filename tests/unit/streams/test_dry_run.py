"""The dry run: newly failing, newly passing and unchanged, of the events that the subject's pins mean."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from schemas.definitions.job import DRY_RUN, Job, JobState
from schemas.definitions.view import SourceView
from schemas.errors import Refused
from schemas.wire.raw import RawRecord, Redrive
from streams.jobs.dry_run import PORTION, DryRunner
from tests.fakes.clock import ManualClock
from tests.unit.streams import made

INTEGER = {"type": "object", "properties": {"n": {"type": "integer"}}}
STRING = {"type": "object", "properties": {"n": {"type": "string"}}}


class Topic:
    """Holds records; counts how often it was opened and closed."""

    def __init__(self, records: list[RawRecord]) -> None:
        self.records, self.asked, self.closed = records, list[int](), 0

    def newest(self, count: int, _now_ms: int) -> tuple[int, Iterator[RawRecord]]:
        self.asked.append(count)
        kept = self.records[-count:]
        return len(kept), iter(kept)

    def close(self) -> None:
        self.closed += 1


def event(offset: int, n: Any, kind: str = "order", **more: Any) -> RawRecord:
    body = json.dumps({"id": f"e{offset}", "type": kind, "n": n}).encode()
    return made.record(body, offset, delivery_id=f"d{offset}", **more)


def job(**arguments: Any) -> Job:
    given = {"subject": "order", "last": 1000, "eventType": None, "revision": 1} | arguments
    return Job("j", "acme", DRY_RUN, given, JobState.RUNNING, 0.0, None, 0, 0, 1)


def run(
    records: list[RawRecord], asked: Job, view: SourceView | None = None, **schemas: Any
) -> tuple[Mapping[str, Any], Topic, list[float]]:
    topic, beats, source = Topic(records), list[float](), view or made.source(pins={"order": "order@1"})
    texts = {name: json.dumps(schema).encode() for name, schema in ({"order": INTEGER} | schemas).items()}
    runner = DryRunner(made.snapshot(source, **texts), lambda _: made.VENDOR, lambda _: topic, ManualClock())

    def beat(share: float, so_far: Mapping[str, Any] | None = None) -> None:
        assert so_far is None
        beats.append(share)

    return runner(asked, beat), topic, beats


def test_each_event_is_judged_before_and_after() -> None:
    records = [event(1, 1), event(2, "a"), event(3, 2), event(4, 2.5), event(5, None, "other")]
    found, topic, _ = run(records, job(schema=json.dumps(STRING)))
    assert {name: found[name] for name in ("newlyFailing", "newlyPassing", "stillPassing", "stillFailing")} == {
        "newlyFailing": 2, "newlyPassing": 1, "stillPassing": 0, "stillFailing": 1,
    }  # fmt: skip
    assert (found["candidate"], found["records"], found["events"], found["judged"]) == ("order", 5, 5, 4)
    assert found["notJudged"] == {"otherType": 1}
    assert (topic.asked, topic.closed) == ([1000], 1)


def test_places_and_samples_name_pointers_and_ids_and_no_value() -> None:
    found, _, _ = run([event(7, 123_456_789), event(8, 987_654_321)], job(schema=json.dumps(STRING)))
    assert found["places"] == [
        {"verdict": "newlyFailing", "eventType": "order", "pointer": "/n",
         "message": 'a number is not of type "string"', "count": 2}
    ]  # fmt: skip
    assert [(each["deliveryId"], each["vendorEventId"], each["pinned"]) for each in found["samples"]] == [
        ("d7", "e7", "order@1"), ("d8", "e8", "order@1"),
    ]  # fmt: skip
    assert "123456789" not in json.dumps(found)


def test_a_version_can_be_tried_and_must_be_there() -> None:
    found, _, _ = run([event(1, 1)], job(version=1))
    assert (found["candidate"], found["stillPassing"]) == ("order@1", 1)
    with pytest.raises(Refused):
        run([event(1, 1)], job(version=9))


def test_formats_judge_when_the_subject_asserts_them() -> None:
    dated = json.dumps({"properties": {"n": {"format": "date"}}})
    view = made.source(pins={"order": "order@1"})
    for asserted, failing in ((False, 0), (True, 1)):
        found, _, _ = run([event(1, "no date")], job(schema=dated, assertFormats=asserted), view, order={})
        assert found["newlyFailing"] == failing


def test_without_a_pin_a_glob_says_which_events_are_meant() -> None:
    records = [event(1, "a"), event(2, 2, "order.paid")]
    view = made.source()
    found, topic, _ = run(records, job(schema=json.dumps(INTEGER), eventType="order*"), view)
    assert (found["newlyFailing"], found["stillPassing"]) == (1, 1)
    nothing, untouched, _ = run(records, job(schema=json.dumps(INTEGER)), view)
    assert (nothing["topics"], nothing["judged"], untouched.asked) == ([], 0, [])
    assert topic.closed == 1


def test_a_redriven_record_an_unreadable_one_and_another_sources_are_not_judged() -> None:
    again = Redrive("T", 1, 0, "job", (0,))
    records = [event(1, 1, redrive=again), made.record(b"{", 2), event(3, 1, source_id="else"), event(4, 1)]
    found, _, _ = run(records, job(schema=json.dumps(STRING)))
    assert (found["notJudged"], found["judged"]) == ({"redriven": 1, "unreadable": 1}, 1)


def test_sources_of_other_tenants_are_never_read() -> None:
    foreign = replace(made.source(pins={"order": "order@1"}), tenant="other")
    found, topic, _ = run([event(1, 1)], job(schema=json.dumps(STRING)), foreign)
    assert (found["judged"], topic.asked) == (0, [])
    with pytest.raises(Refused):
        run([event(1, 1)], job(schema=json.dumps(STRING), sourceId=foreign.id), foreign)


def test_it_beats_between_portions_and_its_answer_is_bounded() -> None:
    count = 3 * PORTION
    view = made.source(pins={"order*": "order@1"})
    records = [event(number, 1, f"order{number}") for number in range(count)]
    found, _, beats = run(records, job(schema=json.dumps(STRING)), view)
    assert beats == [0.0, 1 / 3, 2 / 3, 1.0]
    assert (found["newlyFailing"], len(found["places"]), found["morePlaces"]) == (count, 50, count - 50)
    assert len(found["samples"]) == 20
