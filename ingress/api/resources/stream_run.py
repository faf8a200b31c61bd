"""Starting, stopping and restarting a stream: what is wanted is written down at once, the writers follow."""

from typing import Literal

from pydantic import Field

from ingress.api.call import Answer, Call
from ingress.api.resources import shapes, stream_wire
from ingress.api.resources.streams import find, show
from ingress.api.routes import Route
from schemas import names
from schemas.definitions.base import Definition
from schemas.definitions.job import SWEEP_TABLE
from schemas.definitions.key import Permission

_READ, _WRITE = Permission.STREAMS_READ, Permission.STREAMS_WRITE


class StartRequest(Definition):
    """What start and restart take; `acceptLoss` goes on behind records that the log no longer holds, this once."""

    accept_loss: bool = False


class SweepRequest(Definition):
    """What a sweep takes: `delete` deletes what it finds, else it is told only; files that are younger stay."""

    delete: bool = False
    older_than_hours: int = Field(default=72, ge=1, le=87_600)


async def sweep_stream(call: Call) -> Answer:
    """Look for files in the stream's tables that nothing refers to; a job, whose result has their number and names."""
    given, record = call.given(SweepRequest), await find(call)
    namespace, table = names.namespace(call.tenant, record.definition.target_table or "")
    arguments = {"streamId": record.id, "namespace": namespace, "table": table, **given.to_wire()}
    jobs = call.env.registry.jobs
    job = await call.threads.run(jobs.create, call.tenant, SWEEP_TABLE, arguments, actor=call.actor)
    return Answer(shapes.job(job), status=202, headers={"Location": f"/api/v1/jobs/{job.id}"})


async def start_stream(call: Call) -> Answer:
    """Want a stream running; a running one stays as it is, a failed one begins anew."""
    return await _desire(call, "running", accept_loss=call.given(StartRequest).accept_loss)


async def stop_stream(call: Call) -> Answer:
    """Want a stream stopped; events wait in Kafka."""
    return await _desire(call, "stopped")


async def restart_stream(call: Call) -> Answer:
    """Want a stream running, as a new run whatever it does now."""
    return await _desire(call, "running", restart=True, accept_loss=call.given(StartRequest).accept_loss)


async def get_stream_status(call: Call) -> Answer:
    """Show a stream's state in figures."""
    record = await find(call)
    said = await call.threads.run(call.env.registry.states.get, record.id)
    return Answer(stream_wire.status(call, record, said))


async def _desire(
    call: Call, desired: Literal["running", "stopped"], *, restart: bool = False, accept_loss: bool = False
) -> Answer:
    streams = call.env.registry.streams
    found = await find(call)
    record = await call.threads.run(
        streams.set_desired,
        call.tenant,
        found.id,
        desired,
        restart=restart,
        accept_loss=accept_loss,
        actor=call.actor,
    )
    await call.env.view.refresh()
    return await show(call, record)


ROUTES = (
    Route("POST", "/streams/{id}/start", start_stream, "Start a stream", _WRITE, stream_wire.StreamAnswer,
          takes=StartRequest, body_optional=True),
    Route("POST", "/streams/{id}/stop", stop_stream, "Stop a stream", _WRITE, stream_wire.StreamAnswer),
    Route("POST", "/streams/{id}/restart", restart_stream, "Restart a stream", _WRITE, stream_wire.StreamAnswer,
          takes=StartRequest, body_optional=True),
    Route("POST", "/streams/{id}/sweep", sweep_stream, "Look for files that nothing refers to; delete them if asked",
          _WRITE, shapes.JobAnswer, status=202, takes=SweepRequest, body_optional=True),
    Route("GET", "/streams/{id}/status", get_stream_status, "Show a stream's status", _READ, stream_wire.StatusAnswer),
)  # fmt: skip
