"""`/schemas`: subjects of pinned JSON Schemas and their versions; a version never changes.

This release compares no versions: subjects are of compatibility `none`, the other words are refused as `unsupported`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
import orjson

from ingress.api import paging
from ingress.api.call import Answer, Call
from ingress.api.resources import shapes
from ingress.api.routes import Route
from schemas.backing.registry import Record, SchemaVersion
from schemas.contracts import check_schema
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission
from schemas.definitions.schema import MAX_SCHEMA_BYTES, SchemaVersionDefinition, SubjectDefinition
from schemas.errors import Refused
from schemas.reasons import Reason

_READ, _WRITE = Permission.SCHEMAS_READ, Permission.SCHEMAS_WRITE
MAX_DIGITS = 9


class SubjectAnswer(shapes.Stamped):
    """A schema subject; `latestVersion` 0 = it has none yet."""

    subject: str
    description: str
    compatibility: str
    latest_version: int


class SubjectPage(Definition):
    """One page of subjects."""

    items: list[SubjectAnswer]
    next_cursor: str | None


class VersionAnswer(Definition):
    """One version of a subject; `pin` is what a source's `pins` name it by."""

    subject: str
    version: int
    pin: str
    created_at: datetime


class VersionPage(Definition):
    """The versions of a subject, oldest first."""

    items: list[VersionAnswer]
    next_cursor: str | None


class _VersionBody(msgspec.Struct):
    schema: msgspec.Raw


_VERSION_BODY = msgspec.json.Decoder(_VersionBody)


async def list_subjects(call: Call) -> Answer:
    """List schema subjects."""
    page = await call.threads.run(call.env.registry.subjects.list, call.tenant, call.page)
    latest = _latest(call)
    return Answer(paging.page([_wire(record, latest) for record in page.items], page.next_cursor))


async def create_subject(call: Call) -> Answer:
    """Create a schema subject."""
    wanted = call.given(SubjectDefinition)
    if wanted.compatibility != "none":
        message = f"{wanted.compatibility!r} is not checked by this release: use none"
        raise shapes.refuse("/compatibility", message, Reason.UNSUPPORTED)
    record = await call.threads.run(call.env.registry.subjects.create, call.tenant, wanted, actor=call.actor)
    headers = {"Location": f"/api/v1/schemas/{wanted.subject}"}
    return Answer(_wire(record, _latest(call)), version=record.version, headers=headers)


async def get_subject(call: Call) -> Answer:
    """Show a schema subject."""
    record = await call.threads.run(call.env.registry.subjects.get, call.tenant, call.named("subject"))
    return Answer(_wire(record, _latest(call)), version=record.version)


async def delete_subject(call: Call) -> Answer:
    """Delete a subject and its versions; refused while a source pins one."""
    subjects = call.env.registry.subjects
    record = await call.threads.run(subjects.get, call.tenant, call.named("subject"))
    expected = call.expected(record.version)
    await call.threads.run(subjects.delete, call.tenant, record.name, if_match=expected, actor=call.actor)
    return Answer()


async def list_versions(call: Call) -> Answer:
    """List the versions of a subject."""
    subject = call.named("subject")
    page = await call.threads.run(call.env.registry.subjects.versions, call.tenant, subject, call.page)
    return Answer(paging.page([_version(item) for item in page.items], page.next_cursor))


async def create_version(call: Call) -> Answer:
    """Add a JSON Schema as the next version; the same bytes again answer the version that they have."""
    subject = call.named("subject")
    subjects = call.env.registry.subjects
    await call.threads.run(subjects.get, call.tenant, subject)
    call.given(SchemaVersionDefinition)
    text = bytes(_VERSION_BODY.decode(call.raw).schema)
    if len(text) > MAX_SCHEMA_BYTES:
        raise shapes.refuse("/schema", f"at most {MAX_SCHEMA_BYTES} bytes")
    try:
        await call.threads.run(check_schema, text)
    except Refused as exc:
        moved = tuple((f"/schema{pointer}", message) for pointer, message in exc.errors)
        raise Refused(exc.reason, exc.detail, errors=moved) from None
    before = _latest(call).get(subject, 0)
    added = await call.threads.run(subjects.add_version, call.tenant, subject, text, actor=call.actor)
    await call.env.view.refresh()
    headers = {"Location": f"/api/v1/schemas/{subject}/versions/{added.version}"}
    return Answer(_version(added), status=200 if added.version <= before else 201, headers=headers)


async def get_version(call: Call) -> Answer:
    """Show the JSON Schema of one version, as it was given."""
    text = call.named("version")
    if not text.isdigit() or len(text) > MAX_DIGITS:
        raise Refused(Reason.NOT_FOUND, "versions are numbers: 1, 2, 3")
    found = await call.threads.run(
        call.env.registry.subjects.get_version, call.tenant, call.named("subject"), int(text)
    )
    return Answer(orjson.Fragment(found.schema_json), version=int(text))


def _wire(record: Record[SubjectDefinition], latest: Mapping[str, int]) -> dict[str, Any]:
    return {
        "id": record.id,
        "tenantId": record.tenant_id,
        "subject": record.definition.subject,
        "description": record.definition.description,
        "compatibility": record.definition.compatibility,
        "latestVersion": latest.get(record.name, 0),
        "version": record.version,
        "createdAt": shapes.instant(record.created_at_ms),
        "updatedAt": shapes.instant(record.updated_at_ms),
    }


def _version(item: SchemaVersion) -> dict[str, Any]:
    return {
        "subject": item.subject,
        "version": item.version,
        "pin": f"{item.subject}@{item.version}",
        "createdAt": shapes.instant(item.created_at_ms),
    }


def _latest(call: Call) -> dict[str, int]:
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
          takes=SubjectDefinition, refusals=(Reason.NAME_TAKEN, Reason.UNSUPPORTED),
          example={"subject": "github.push"}),
    Route("GET", "/schemas/{subject}", get_subject, "Show a schema subject", _READ, SubjectAnswer),
    Route("DELETE", "/schemas/{subject}", delete_subject, "Delete a subject that nothing pins", _WRITE, None,
          status=204, refusals=(Reason.IN_USE,)),
    Route("GET", "/schemas/{subject}/versions", list_versions, "List the versions of a subject", _READ, VersionPage,
          query=shapes.PAGE),
    Route("POST", "/schemas/{subject}/versions", create_version, "Add a version: a JSON Schema", _WRITE, VersionAnswer,
          status=201, takes=SchemaVersionDefinition, also={200: VersionAnswer},
          example={"schema": {"type": "object", "required": ["ref"], "properties": {"ref": {"type": "string"}}}}),
    Route("GET", "/schemas/{subject}/versions/{version}", get_version, "Show the JSON Schema of a version", _READ,
          shapes.AnyObject),
)  # fmt: skip
