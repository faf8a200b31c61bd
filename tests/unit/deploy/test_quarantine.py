"""`hookberg quarantine redrive`, for a person: what matches, what became of it, what could not be redriven."""

from typing import Any

from deploy.cli.quarantine import count_text, job_text

LEFT = {
    "position": {"topicId": "T", "partition": 1, "offset": 7, "item": 0}, "eventId": "e", "outcome": "gone",
    "why": "the raw topic does not hold the record any more (retention)",
}  # fmt: skip


def result(**more: Any) -> dict[str, Any]:
    counts = {"redriven": 3, "gone": 1, "skipped": 0, "unreadable": 0}
    return {"id": "j", "state": "succeeded", "result": {**counts, "left": [LEFT], "notInTable": 0, **more}}


def test_says_how_many_rows_match_and_why_they_are_there() -> None:
    found = {"matching": 3, "byReason": {"id_conflict": 1, "schema_violation": 2}}
    assert count_text(found) == "3 rows in quarantine match (1 id_conflict, 2 schema_violation)"
    assert count_text({"matching": 0, "byReason": {}}) == "0 rows in quarantine match: nothing to redrive"


def test_says_what_became_of_them_and_names_those_that_are_left() -> None:
    first, left = job_text(result()).splitlines()
    assert first == "job j: 3 redriven, 1 gone, 0 skipped, 0 unreadable"
    assert left == "  T/1/7/0 gone: the raw topic does not hold the record any more (retention)"
    assert "redrive again" in job_text(result(notInTable=2))
    assert job_text(result(left=[LEFT] * 30)).count("gone:") == 20
    assert job_text({"id": "j", "state": "running", "result": None}) == "job j: running"
