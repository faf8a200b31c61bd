"""`/sources`: registered webhook senders. Making one makes its topics; its URL opens when they have leaders."""

from typing import Any

from ingress.api import merge_patch, paging, reading
from ingress.api.again import again
from ingress.api.call import Answer, Call
from ingress.api.resources import shapes, source_checks, source_topics, source_wire
from ingress.api.routes import Query, Route
from schemas.backing.egress import Guard
from schemas.backing.registry import SourceRecord
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission
from schemas.definitions.source import SourceDefinition
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.vendors import adapter

_READ, _WRITE = Permission.SOURCES_READ, Permission.SOURCES_WRITE
_PLATFORM = Query("platform", "string", "sources of this platform only", maximum=64)
_REFUSALS = (Reason.NAME_TAKEN, Reason.TOPIC_NAME_TAKEN, Reason.TOPIC_SHARED, Reason.IMMUTABLE, Reason.UNSUPPORTED,
             Reason.BROKER_REFUSED)  # fmt: skip
_EXAMPLE = {"platform": "github", "name": "github-main", "auth": {"type": "github", "secrets": ["It's a Secret"]}}


class SourcePage(Definition):
    """One page of sources."""

    items: list[source_wire.SourceAnswer]
    next_cursor: str | None


async def list_sources(call: Call) -> Answer:
    """List sources."""
    platform = call.query.get("platform")
    page = await call.threads.run(call.env.registry.sources.list, call.tenant, call.page, platform=platform)
    return Answer(paging.page([await source_wire.wire(call, record) for record in page.items], page.next_cursor))


async def create_source(call: Call) -> Answer:
    """Create a source with its topics; the answer carries its ingest URL, this once."""
    return await _create(call, call.given(SourceDefinition))


async def get_source(call: Call) -> Answer:
    """Show a source with its counters."""
    record = await _find(call)
    return Answer(await source_wire.wire(call, record, alone=True), version=record.version)


async def put_source(call: Call) -> Answer:
    """Create a source of this name, or replace its definition; secrets stay when none are given."""
    named = call.named("id")
    try:
        record = await _find(call)
    except Refused as exc:
        if exc.reason is not Reason.NOT_FOUND:
            raise
        record = None
    name = record.name if record is not None else named
    definition = reading.definition(SourceDefinition, shapes.with_name(call.value, name))
    if record is None:
        if call.if_match is not None:
            raise Refused(Reason.PRECONDITION_FAILED, "there is no such source")
        return await _create(call, definition)
    if call.create_only:
        raise Refused(Reason.PRECONDITION_FAILED, "the source exists")
    return await _update(call, record, definition, call.expected(record.version))


async def patch_source(call: Call) -> Answer:
    """Change members of a source."""
    return await again(call, _patch)


async def _patch(call: Call) -> Answer:
    record = await _find(call)
    expected = call.expected(record.version)
    before = {**record.definition.to_wire(), "auth": _kept_auth(call, record), "name": record.name}
    definition = reading.definition(SourceDefinition, merge_patch.apply(before, call.value))
    return await _update(call, record, definition, expected)


def _kept_auth(call: Call, record: SourceRecord) -> dict[str, Any]:
    """Return the members of the auth that a patch merges with: none when it names another type."""
    shown, patch = record.definition.auth.shown(), call.value.get("auth") if isinstance(call.value, dict) else None
    other = isinstance(patch, dict) and patch.get("type", shown["type"]) != shown["type"]
    return {} if other else shown


async def delete_source(call: Call) -> Answer:
    """Delete a source; its topics and tables stay."""
    record = await _find(call)
    expected = call.expected(record.version)
    await call.threads.run(
        call.env.registry.sources.delete, call.tenant, record.id, if_match=expected, actor=call.actor
    )
    await call.env.view.refresh()
    return Answer()


async def _find(call: Call) -> SourceRecord:
    return await call.threads.run(call.env.registry.sources.get, call.tenant, call.named("id"))


async def _create(call: Call, definition: SourceDefinition) -> Answer:
    source_checks.check_auth(definition, Guard.of(call.env.settings), has_secrets=False)
    split = source_checks.partitioning(definition, adapter(definition.platform))
    await source_checks.check_pins(call, definition)
    sources = call.env.registry.sources
    record = await call.threads.run(
        sources.create,
        call.tenant,
        definition,
        partitioning=split,
        partitions=call.env.settings.topic_partitions,
        actor=call.actor,
    )
    try:
        record = await source_topics.open_source(call, record)
    except Exception:
        # without topics the source could never open: take it back, so that the caller may simply try again
        await call.threads.run(sources.delete, call.tenant, record.id, actor=call.actor)
        raise
    if definition.auth.type == "none":
        url = source_wire.plain_url(call, record)
    else:
        _, token = await call.threads.run(sources.add_url, call.tenant, record.id, actor=call.actor)
        url = source_wire.secret_url(call, record, token)
    await call.env.view.refresh()
    record = await call.threads.run(sources.get, call.tenant, record.id)
    body = {**await source_wire.wire(call, record), "ingestUrl": url}
    headers = {"Location": f"/api/v1/sources/{record.id}"}
    return Answer(body, status=201, version=record.version, secret=True, headers=headers)


async def _update(call: Call, record: SourceRecord, definition: SourceDefinition, expected: int) -> Answer:
    kept = source_checks.keeps_secrets(record.definition.auth, definition.auth)
    source_checks.check_auth(definition, Guard.of(call.env.settings), has_secrets=kept)
    await source_checks.check_pins(call, definition)
    updated = await call.threads.run(
        call.env.registry.sources.update, call.tenant, record.id, definition, if_match=expected, actor=call.actor
    )
    if not updated.open:
        updated = await source_topics.open_source(call, updated)
    await call.env.view.refresh()
    return Answer(await source_wire.wire(call, updated), status=200, version=updated.version)


ROUTES = (
    Route("GET", "/sources", list_sources, "List sources", _READ, SourcePage, query=(_PLATFORM, *shapes.PAGE)),
    Route("POST", "/sources", create_source, "Create a source and its topics", _WRITE, source_wire.SourceCreated,
          status=201, takes=SourceDefinition, refusals=_REFUSALS, example=_EXAMPLE),
    Route("GET", "/sources/{id}", get_source, "Show a source", _READ, source_wire.SourceAnswer),
    Route("PUT", "/sources/{id}", put_source, "Create or replace a source by name", _WRITE, source_wire.SourceAnswer,
          takes=SourceDefinition, refusals=_REFUSALS, also={201: source_wire.SourceCreated}, example=_EXAMPLE),
    Route("PATCH", "/sources/{id}", patch_source, "Change a source", _WRITE, source_wire.SourceAnswer,
          takes=SourceDefinition, refusals=_REFUSALS),
    Route("DELETE", "/sources/{id}", delete_source, "Delete a source; topics and tables stay", _WRITE, None,
          status=204, refusals=(Reason.IN_USE,)),
)  # fmt: skip
