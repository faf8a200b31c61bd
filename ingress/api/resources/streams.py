"""`/streams`: running materializations of topics into Iceberg tables. Running them is the writers' (sinks/)."""

from ingress.api import merge_patch, paging, reading
from ingress.api.again import again
from ingress.api.call import Answer, Call
from ingress.api.resources import shapes, stream_wire
from ingress.api.resources.stream_checks import refuse_existing_table, resolved
from ingress.api.routes import Query, Route
from schemas import names
from schemas.backing.registry import StreamRecord
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission
from schemas.definitions.stream import StreamDefinition
from schemas.errors import Refused
from schemas.reasons import Reason

_READ, _WRITE = Permission.STREAMS_READ, Permission.STREAMS_WRITE
DROP_TABLE = "sinks.drop_table"
_DROP = Query("dropTable", "boolean", "drop the table too, as a job of the writers")
_REFUSALS = (Reason.NAME_TAKEN, Reason.TABLE_TAKEN, Reason.TABLE_EXISTS, Reason.IMMUTABLE, Reason.UNSUPPORTED)
_EXAMPLE = {
    "name": "slack-events",
    "topics": ["{tenantId}.webhook.slack"],
    "targetTable": "slack_events",
    "valueFormat": "JSON",
}


class StreamPage(Definition):
    """One page of streams."""

    items: list[stream_wire.StreamAnswer]
    next_cursor: str | None


async def list_streams(call: Call) -> Answer:
    """List streams."""
    registry = call.env.registry
    page = await call.threads.run(registry.streams.list, call.tenant, call.page)
    said = await call.threads.run(registry.states.all, call.tenant)
    items = [stream_wire.wire(call, record, said.get(record.id)) for record in page.items]
    return Answer(paging.page(items, page.next_cursor))


async def create_stream(call: Call) -> Answer:
    """Create a stream, stopped; its topics need not exist yet."""
    return await _create(call, call.given(StreamDefinition))


async def get_stream(call: Call) -> Answer:
    """Show a stream and its state."""
    return await show(call, await find(call))


async def put_stream(call: Call) -> Answer:
    """Create a stream of this name, or replace its definition; its desired state stays."""
    named = call.named("id")
    try:
        record = await find(call)
    except Refused as exc:
        if exc.reason is not Reason.NOT_FOUND:
            raise
        record = None
    name = record.name if record is not None else named
    definition = reading.definition(StreamDefinition, shapes.with_name(call.value, name))
    if record is None:
        if call.if_match is not None:
            raise Refused(Reason.PRECONDITION_FAILED, "there is no such stream")
        return await _create(call, definition)
    if call.create_only:
        raise Refused(Reason.PRECONDITION_FAILED, "the stream exists")
    return await _update(call, record, definition, call.expected(record.version))


async def patch_stream(call: Call) -> Answer:
    """Change members of a stream."""
    return await again(call, _patch)


async def _patch(call: Call) -> Answer:
    record = await find(call)
    expected = call.expected(record.version)
    definition = reading.definition(StreamDefinition, merge_patch.apply(record.definition.to_wire(), call.value))
    return await _update(call, record, definition, expected)


async def delete_stream(call: Call) -> Answer:
    """Delete a stream; the table stays unless `dropTable=true`, then 202 with the job that drops it."""
    registry = call.env.registry
    record = await find(call)
    expected = call.expected(record.version)
    await call.threads.run(registry.streams.delete, call.tenant, record.id, if_match=expected, actor=call.actor)
    if not call.query.get("dropTable", False):
        return Answer()
    namespace, table = names.namespace(call.tenant, record.definition.target_table or "")
    arguments = {"streamId": record.id, "namespace": namespace, "table": table}
    job = await call.threads.run(registry.jobs.create, call.tenant, DROP_TABLE, arguments, actor=call.actor)
    return Answer(shapes.job(job), status=202, headers={"Location": f"/api/v1/jobs/{job.id}"})


async def find(call: Call) -> StreamRecord:
    """Return the stream that the path names by id or name; raise `Refused(not_found)`."""
    return await call.threads.run(call.env.registry.streams.get, call.tenant, call.named("id"))


async def show(call: Call, record: StreamRecord, *, status: int = 200) -> Answer:
    """Answer with a stream as it is now."""
    said = await call.threads.run(call.env.registry.states.get, record.id)
    return Answer(stream_wire.wire(call, record, said), status=status, version=record.version)


async def _create(call: Call, definition: StreamDefinition) -> Answer:
    definition = resolved(definition, call.tenant)
    await refuse_existing_table(call, definition)
    record = await call.threads.run(call.env.registry.streams.create, call.tenant, definition, actor=call.actor)
    await call.env.view.refresh()
    body = stream_wire.wire(call, record, None)
    return Answer(body, status=201, version=record.version, headers={"Location": f"/api/v1/streams/{record.id}"})


async def _update(call: Call, record: StreamRecord, definition: StreamDefinition, expected: int) -> Answer:
    definition = resolved(definition, call.tenant)
    updated = await call.threads.run(
        call.env.registry.streams.update, call.tenant, record.id, definition, if_match=expected, actor=call.actor
    )
    return await show(call, updated)


ROUTES = (
    Route("GET", "/streams", list_streams, "List streams", _READ, StreamPage, query=shapes.PAGE),
    Route("POST", "/streams", create_stream, "Create a stream", _WRITE, stream_wire.StreamAnswer, status=201,
          takes=StreamDefinition, refusals=_REFUSALS, example=_EXAMPLE),
    Route("GET", "/streams/{id}", get_stream, "Show a stream", _READ, stream_wire.StreamAnswer),
    Route("PUT", "/streams/{id}", put_stream, "Create or replace a stream by name", _WRITE, stream_wire.StreamAnswer,
          takes=StreamDefinition, refusals=_REFUSALS, also={201: stream_wire.StreamAnswer}, example=_EXAMPLE),
    Route("PATCH", "/streams/{id}", patch_stream, "Change a stream", _WRITE, stream_wire.StreamAnswer,
          takes=StreamDefinition, refusals=_REFUSALS),
    Route("DELETE", "/streams/{id}", delete_stream, "Delete a stream; the table stays unless asked", _WRITE, None,
          status=204, query=(_DROP,), also={202: shapes.JobAnswer}),
)  # fmt: skip
