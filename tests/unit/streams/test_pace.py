"""How often the stage takes records, and how often it asks Kafka for sizes."""

from typing import Any

import pytest

from streams.engine.chunks import pause_s
from streams.engine.directory import Directory


def test_a_backlog_is_taken_without_a_pause() -> None:
    assert pause_s(10_000, 4) == 0
    assert pause_s(10_000, 1_200) == 0


def test_few_records_wait_longer_the_more_partitions_a_fetch_names() -> None:
    assert 0 < pause_s(1, 4) < pause_s(1, 400) <= pause_s(1, 1_200) <= 0.1
    assert pause_s(1, 100_000) <= 0.1


class Answer:
    def __init__(self, value: str) -> None:
        self.value = value

    def result(self, _timeout: float) -> dict[str, Any]:
        return {"max.message.bytes": self}


class Admin:
    """Answers for every topic and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.size = "1000"

    def describe_configs(self, resources: list[Any], **_options: Any) -> dict[Any, Answer]:
        self.asked += [resource.name for resource in resources]
        return {resource: Answer(self.size) for resource in resources}


def test_sizes_are_asked_for_once_and_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    directory, admin = Directory({}, lambda: now), Admin()
    monkeypatch.setattr(Directory, "admin", admin)
    assert directory.sizes(["a", "b"]) == {"a": 1000, "b": 1000}
    admin.size = "2000"
    now = 59.0
    assert directory.sizes(["a", "b", "c"]) == {"a": 1000, "b": 1000, "c": 2000}
    assert admin.asked == ["a", "b", "c"]
    now = 61.0
    assert directory.sizes(["a", "b", "c"]) == {"a": 2000, "b": 2000, "c": 2000}
    assert admin.asked == ["a", "b", "c", "a", "b"]
