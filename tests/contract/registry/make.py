"""Definitions for the registry's tests, as short as they can be."""

from collections.abc import Callable
from typing import Any

import pytest

from schemas.backing.registry import SYSTEM, Registry, SourceRecord, StreamRecord, TopicRecord
from schemas.definitions.base import read
from schemas.definitions.source import SourceDefinition
from schemas.definitions.stream import StreamDefinition
from schemas.errors import Refused
from schemas.reasons import Reason


def source_definition(platform: str = "slack", **members: Any) -> SourceDefinition:
    return read(SourceDefinition, {"platform": platform, "auth": {"type": "slack"}, **members})


def source(registry: Registry, platform: str = "slack", *, tenant: str = "acme", **members: Any) -> SourceRecord:
    return registry.sources.create(
        tenant, source_definition(platform, **members), partitioning="event", partitions=4, actor=SYSTEM
    )


def stream_definition(name: str = "s", table: str | None = None, **members: Any) -> StreamDefinition:
    value = {"name": name, "topics": ["acme.event.slack"], "targetTable": table or name.replace("-", "_"), **members}
    return read(StreamDefinition, value)


def stream(registry: Registry, name: str = "s", table: str | None = None, **members: Any) -> StreamRecord:
    return registry.streams.create("acme", stream_definition(name, table, **members), actor=SYSTEM)


def topic(name: str, *, kind: str = "webhook", tenant: str = "acme", partitions: int = 4) -> TopicRecord:
    return TopicRecord(name, f"id-{name}"[:22], tenant, kind, name.rpartition(".")[2], partitions, "", False)


def refused(reason: Reason, call: Callable[[], object]) -> Refused:
    with pytest.raises(Refused) as caught:
        call()
    assert caught.value.reason is reason
    return caught.value
