"""`/schemas`: subjects of pinned JSON Schemas. Their versions: schema_versions.py."""

from collections.abc import Mapping
from typing import Any

from ingress.api import merge_patch, paging, reading
from ingress.api.again import again
from ingress.api.call import Answer, Call
from ingress.api.resources import shapes
from ingress.api.routes import Route
from schemas.backing.registry import Record
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission
from schemas.definitions.schema import SubjectDefinition
from schemas.reasons import Reason

_READ, _WRITE = Permission.SCHEMAS_READ, Permission.SCHEMAS_WRITE


class SubjectAnswer(shapes.Stamped):
    """A schema subject; `latestVersion` 0 = it has none yet."""

    subject: str
    description: str
    compatibility: str
    assert_formats: bool
    latest_version: int


class SubjectPage(Definition):
    """One page of subjects."""

    items: list[SubjectAnswer]
    next_cursor: str | None


async def list_subjects(call: Call) -> Answer:
    """List schema subjects."""
    page = await call.threads.run(call.env.registry.subjects.list, call.tenant, call.page)
    newest = latest(call)
    return Answer(paging.page([_wire(record, newest) for record in page.items], page.next_cursor))


async def create_subject(call: Call) -> Answer:
    """Create a schema subject."""
    wanted = call.given(SubjectDefinition)
    record = await call.threads.run(call.env.registry.subjects.create, call.tenant, wanted, actor=call.actor)
    headers = {"Location": f"/api/v1/schemas/{wanted.subject}"}
    return Answer(_wire(record, latest(call)), version=record.version, headers=headers)


async def get_subject(call: Call) -> Answer:
    """Show a schema subject."""
    record = await call.threads.run(call.env.registry.subjects.get, call.tenant, call.named("subject"))
    return Answer(_wire(record, latest(call)), version=record.version)


async def patch_subject(call: Call) -> Answer:
    """Change a subject's compatibility or description; its versions stay, and what was added stays added."""
    return await again(call, _patch)


async def _patch(call: Call) -> Answer:
    subjects = call.env.registry.subjects
    record = await call.threads.run(subjects.get, call.tenant, call.named("subject"))
    expected = call.expected(record.version)
    wanted = reading.definition(SubjectDefinition, merge_patch.apply(record.definition.to_wire(), call.value))
    updated = await call.threads.run(
        subjects.update, call.tenant, record.name, wanted, if_match=expected, actor=call.actor
    )
    return Answer(_wire(updated, latest(call)), version=updated.version)


async def delete_subject(call: Call) -> Answer:
    """Delete a subject and its versions; refused while a source pins one."""
    subjects = call.env.registry.subjects
    record = await call.threads.run(subjects.get, call.tenant, call.named("subject"))
    expected = call.expected(record.version)
    await call.threads.run(subjects.delete, call.tenant, record.name, if_match=expected, actor=call.actor)
    return Answer()


def _wire(record: Record[SubjectDefinition], newest: Mapping[str, int]) -> dict[str, Any]:
    return {
        "id": record.id,
        "tenantId": record.tenant_id,
        "subject": record.definition.subject,
        "description": record.definition.description,
        "compatibility": record.definition.compatibility,
        "assertFormats": record.definition.assert_formats,
        "latestVersion": newest.get(record.name, 0),
        "version": record.version,
        "createdAt": shapes.instant(record.created_at_ms),
        "updatedAt": shapes.instant(record.updated_at_ms),
    }


def latest(call: Call) -> dict[str, int]:
    """Return the newest version of each subject of the tenant, as the snapshot knows them."""
    found: dict[str, int] = {}
    for tenant, pin in call.env.view.current().schemas:
        if tenant == call.tenant:
            subject, _, number = pin.rpartition("@")
            found[subject] = max(found.get(subject, 0), int(number))
    return found


ROUTES = (
    Route("GET", "/schemas", list_subjects, "List schema subjects", _READ, SubjectPage, query=shapes.PAGE),
    Route("POST", "/schemas", create_subject, "Create a schema subject", _WRITE, SubjectAnswer, status=201,
          takes=SubjectDefinition, refusals=(Reason.NAME_TAKEN,),
          example={"subject": "github.push", "compatibility": "backward"}),
    Route("GET", "/schemas/{subject}", get_subject, "Show a schema subject", _READ, SubjectAnswer),
    Route("PATCH", "/schemas/{subject}", patch_subject, "Change a subject's compatibility or description", _WRITE,
          SubjectAnswer, takes=SubjectDefinition, refusals=(Reason.IMMUTABLE,)),
    Route("DELETE", "/schemas/{subject}", delete_subject, "Delete a subject that nothing pins", _WRITE, None,
          status=204, refusals=(Reason.IN_USE,)),
)  # fmt: skip
