"""Definitions: what is refused, where, and in which words."""

from typing import Any

import pytest

from schemas.definitions.base import read
from schemas.definitions.source import SourceDefinition
from schemas.definitions.stream import UNSUPPORTED_YET, StreamDefinition
from schemas.errors import Refused

STREAM: dict[str, Any] = {"name": "a", "topics": ["t.webhook.p"], "targetTable": "a"}
SOURCE: dict[str, Any] = {"platform": "github", "auth": {"type": "github"}}


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"startFrom": "noon"}, "/startFrom", "`earliest`, `latest` or a time"),
        ({"startFrom": "2026-11-21T08:00:00"}, "/startFrom", "`earliest`, `latest` or a time"),
        ({"topics": []}, "/topics", "needs at least 1"),
        ({"layout": "wide"}, "/layout", "must be 'nested', 'flat' or 'raw'"),
        ({"color": "red"}, "/color", "not known here"),
        ({"topics": ["x", "x"]}, "/topics", "named twice"),
        ({"retentionDays": 0}, "/retentionDays", "equal to 1"),
        (
            {"retentionDays": 9, "writeMode": "upsert", "primaryKey": ["id"]},
            "/retentionDays",
            "newest version of every",
        ),
    ],
)
def test_a_faulty_stream_is_refused_where_and_why(change: dict[str, Any], pointer: str, words: str) -> None:
    with pytest.raises(Refused) as caught:
        read(StreamDefinition, STREAM | change)
    assert [found for found, _ in caught.value.errors] == [pointer]
    assert words in caught.value.errors[0][1]


def test_a_stream_may_say_how_long_its_rows_stay() -> None:
    assert read(StreamDefinition, STREAM | {"retentionDays": 9}).retention_days == 9
    assert read(StreamDefinition, STREAM).retention_days is None
    assert "retention_days" not in UNSUPPORTED_YET


def test_a_missing_field_is_named() -> None:
    with pytest.raises(Refused) as caught:
        read(SourceDefinition, {"platform": "github"})
    assert caught.value.errors == (("/auth", "this field is missing"),)


def test_a_pin_that_names_no_version_is_refused_with_an_example() -> None:
    with pytest.raises(Refused, match=r"github\.push@1"):
        read(SourceDefinition, SOURCE | {"pins": {"*": "github.push"}})


def test_refusals_never_repeat_a_secret() -> None:
    with pytest.raises(Refused) as caught:
        read(SourceDefinition, SOURCE | {"auth": {"type": "github", "secrets": [{"value": 5, "x": "hush"}]}})
    assert "hush" not in f"{caught.value}{caught.value.errors}"
