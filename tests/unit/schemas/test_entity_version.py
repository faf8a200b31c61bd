"""Versions in tenths, and changeDescription as OpenMetadata writes it."""

from typing import Any

import pytest

from schemas.definitions import entity_version
from schemas.definitions.entity_version import described, following, major, read, shown
from schemas.wire.entity_event import Delta


def entity(**members: Any) -> dict[str, Any]:
    config = {"endpoint": "https://a.example/", "timeout": 10, **members.pop("config", {})}
    return {"webhookType": "Generic", "batchSize": 10, "webhookConfig": config, **members}


def test_versions_count_in_tenths_and_a_major_one_is_the_next_whole() -> None:
    assert shown(entity_version.FIRST) == 0.1
    assert [following(1, major=False), following(9, major=False), following(19, major=False)] == [2, 10, 20]
    assert [following(1, major=True), following(10, major=True), following(19, major=True)] == [10, 20, 20]
    assert [shown(number) for number in (9, 10, 12, 2_000_003)] == [0.9, 1.0, 1.2, 200_000.3]


@pytest.mark.parametrize(
    ("text", "number"),
    [("0.1", 1), ("1.0", 10), ("1", 10), ("12.3", 123), ("", None), ("1.", 10), ("1.10", None), (".1", None),
     ("-1", None), ("1e3", None), ("٣.1", None), ("1.x", None), ("12345678", None)],
)  # fmt: skip
def test_a_version_is_named_as_it_is_shown(text: str, number: int | None) -> None:
    assert read(text) == number


@pytest.mark.parametrize(
    ("after", "wanted"),
    [
        ({"webhookType": "Slack"}, True),
        ({"config": {"endpoint": "https://b.example/"}}, True),
        ({"config": {"endpoint": None}}, True),
        ({"batchSize": 1}, True),
        ({"batchSize": 2}, False),
        ({"config": {"timeout": 20}}, False),
        ({"description": "x"}, False),
    ],
)
def test_a_major_change_is_one_that_a_receiver_must_be_ready_for(after: dict[str, Any], wanted: bool) -> None:
    assert major(entity(), entity(**after)) is wanted
    assert major(entity(**after), entity()) is wanted


def test_changes_are_told_by_dotted_leaves_and_lists_as_a_whole() -> None:
    before = {"a": {"b": 1, "c": {"d": 2}}, "tags": ["x"], "gone": "y", "none": None, "empty": [], "same": [1]}
    after = {"a": {"b": 3, "c": {"e": 2}}, "tags": ["x", "z"], "none": False, "empty": ["w"], "same": [1], "new": {}}
    told = described(before, after, 12)
    assert told.added == (Delta("a.c.e", None, 2), Delta("none", None, False), Delta("empty", None, ["w"]))
    assert told.updated == (Delta("a.b", 1, 3), Delta("tags", ["x"], ["x", "z"]))
    assert told.deleted == (Delta("a.c.d", 2, None), Delta("gone", "y", None))
    assert told.previous_version == 1.2
    assert described(before, before, None).names() == frozenset()
