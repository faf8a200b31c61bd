"""`POST /schemas/{subject}/dry-run`: what a candidate would say of the newest raw events, as a job of the stage."""

from typing import Any

from ingress.api.call import Answer, Call
from ingress.api.resources import shapes
from ingress.api.resources.schema_versions import checked, schema_text
from ingress.api.routes import Route
from schemas.definitions.job import DRY_RUN
from schemas.definitions.key import Permission
from schemas.definitions.schema import MAX_CANDIDATE_BYTES, DryRunDefinition
from schemas.reasons import Reason


async def dry_run_schema(call: Call) -> Answer:
    """Try a candidate over the last raw events; the job's result has counts, pointers and samples."""
    asked = call.given(DryRunDefinition)
    subjects = call.env.registry.subjects
    record = await call.threads.run(subjects.get, call.tenant, call.named("subject"))
    if (asked.json_schema is None) == (asked.version is None):
        raise shapes.refuse("", "give a candidate (schema), or the number of a version")
    arguments: dict[str, Any] = {"subject": record.name, "last": asked.last, "eventType": asked.event_type}
    if asked.version is not None:
        await call.threads.run(subjects.get_version, call.tenant, record.name, asked.version)
        arguments["version"] = asked.version
    else:
        text = schema_text(call.raw, MAX_CANDIDATE_BYTES)
        await checked(call, text)
        arguments |= {"schema": text.decode(), "assertFormats": record.definition.assert_formats}
    if asked.source is not None:
        source = await call.threads.run(call.env.registry.sources.get, call.tenant, asked.source)
        arguments["sourceId"] = source.id
    arguments["revision"] = await call.threads.run(call.env.registry.revision)
    job = await call.threads.run(call.env.registry.jobs.create, call.tenant, DRY_RUN, arguments, actor=call.actor)
    return Answer(shapes.job(job), status=202, headers={"Location": f"/api/v1/jobs/{job.id}"})


ROUTES = (
    Route("POST", "/schemas/{subject}/dry-run", dry_run_schema, "Try a candidate over the last raw events: a job",
          Permission.SCHEMAS_WRITE, shapes.JobAnswer, status=202, takes=DryRunDefinition,
          refusals=(Reason.INVALID_DEFINITION,),
          example={"schema": {"type": "object", "required": ["ref", "after"]}, "last": 1000}),
)  # fmt: skip
