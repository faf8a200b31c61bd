"""A registry in memory: snapshots made of sources, keys and URLs; a view, a registrar and a tally sink over it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from schemas import topics
from schemas.definitions.key import Permission, digest
from schemas.definitions.source import SourceDefinition
from schemas.definitions.view import EMPTY, KeyView, SecretView, Snapshot, SourceView, TopicView
from schemas.errors import HookbergError
from schemas.vendors import adapter

PARTITIONS = 4


def source(
    platform: str,
    *,
    tenant: str = "acme",
    name: str | None = None,
    auth: str | Mapping[str, Any] | None = None,
    secrets: Sequence[bytes] = (b"s3cret",),
    enabled: bool = True,
    is_open: bool = True,
    overload: Mapping[str, Any] | None = None,
) -> SourceView:
    """Make a source as the registry shows it; `auth` (a type, or its JSON) defaults to the platform's preset."""
    name = name or platform
    said = {"type": auth or platform} if auth is None or isinstance(auth, str) else auth
    if said["type"] == "teams" and "audience" not in said:
        said = {**said, "audience": "app-id"}
    return SourceView(
        id=f"src-{tenant}-{name}",
        tenant=tenant,
        platform=platform,
        name=name,
        version=1,
        definition=SourceDefinition.model_validate(
            {"platform": platform, "auth": said, "enabled": enabled, "overload": dict(overload or {})}
        ),
        partitioning=adapter(platform).partitioning,
        partitions=PARTITIONS,
        topic=topics.raw(tenant, platform),
        open=is_open,
        secrets=tuple(SecretView(f"sec-{index}", value) for index, value in enumerate(secrets)),
    )


def key(
    tenant: str | None = "acme", permissions: Sequence[Permission] = (Permission.INGESTION_WRITE,), name: str = "k"
) -> KeyView:
    """Make an API key as the registry shows it."""
    return KeyView(f"key-{name}", tenant, frozenset(permissions), name)


def snapshot(
    sources: Sequence[SourceView] = (),
    *,
    tenants: Sequence[str] = ("acme", "other"),
    keys: Mapping[str, KeyView] | None = None,
    urls: Mapping[str, tuple[str, str]] | None = None,
) -> Snapshot:
    """Make a snapshot; `keys` by text, `urls` token -> (source id, url id)."""
    by_platform: dict[tuple[str, str], tuple[SourceView, ...]] = {}
    for one in sources:
        place = (one.tenant, one.platform)
        by_platform[place] = (*by_platform.get(place, ()), one)
    return replace(
        EMPTY,
        revision=1,
        tenants=frozenset(tenants),
        sources={one.id: one for one in sources},
        by_platform=by_platform,
        by_url={digest(token): place for token, place in (urls or {}).items()},
        keys={digest(text): one for text, one in (keys or {}).items()},
        topics={
            one.topic: TopicView(
                one.topic, "topicid-" + one.platform, one.tenant, "webhook", one.platform, one.partitions, "0", False
            )
            for one in sources
        },
    )


class FixedView:
    """Implements schemas.ports.RegistryView: `refresh` moves on to `fresh` when that is set, and is counted."""

    def __init__(self, now: Snapshot = EMPTY) -> None:
        self.now = now
        self.fresh: Snapshot | None = None
        self.refreshed = 0

    def current(self) -> Snapshot:
        return self.now

    async def refresh(self) -> Snapshot:
        self.refreshed += 1
        if self.fresh is not None:
            self.now = self.fresh
        return self.now


class RecordingRegistrar:
    """Implements schemas.ports.Registrar: makes sources of auth `none`, or raises `fault`."""

    def __init__(self) -> None:
        self.made: list[SourceView] = []
        self.fault: HookbergError | None = None

    async def register(self, tenant: str, platform: str, key: KeyView) -> SourceView:
        if self.fault is not None:
            raise self.fault
        made = replace(source(platform, tenant=tenant, auth="none", secrets=()), key_id=key.id)
        self.made.append(made)
        return made


class RecordingSink:
    """Implements schemas.ports.TallySink: keeps the newest row a source and all refusals, or raises `fault`."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Mapping[str, Any]] = {}
        self.refusals: list[Mapping[str, Any]] = []
        self.flushes = 0
        self.fault: Exception | None = None

    async def flush(self, process_start: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self.flushes += 1
        if self.fault is not None:
            raise self.fault
        for row in rows:
            # as the registry does: only plain JSON, no enum as a key
            self.rows[process_start, str(row["source_id"])] = orjson.loads(orjson.dumps(dict(row)))

    async def keep(self, rows: Sequence[Mapping[str, Any]]) -> None:
        if self.fault is not None:
            raise self.fault
        self.refusals += [orjson.loads(orjson.dumps(dict(row))) for row in rows]
