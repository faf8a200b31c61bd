"""`/schemas/{subject}/versions`: JSON Schemas that never change; each must be compatible with the newest before it."""

from datetime import datetime
from typing import Any

import msgspec
import orjson

from ingress.api import paging
from ingress.api.again import again
from ingress.api.call import Answer, Call
from ingress.api.resources import shapes
from ingress.api.routes import Route
from schemas.backing.registry import Record, SchemaVersion
from schemas.contracts import Asserted, breaks, check_schema
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission
from schemas.definitions.schema import MAX_SCHEMA_BYTES, SchemaVersionDefinition, SubjectDefinition
from schemas.errors import Refused
from schemas.reasons import Reason

_READ, _WRITE = Permission.SCHEMAS_READ, Permission.SCHEMAS_WRITE
MAX_DIGITS = 9
COMPARE_S = 10.0
"""Comparing two versions is given up after so long, and the version refused."""


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


async def list_versions(call: Call) -> Answer:
    """List the versions of a subject."""
    subject = call.named("subject")
    page = await call.threads.run(call.env.registry.subjects.versions, call.tenant, subject, call.page)
    return Answer(paging.page([_version(item) for item in page.items], page.next_cursor))


async def create_version(call: Call) -> Answer:
    """Add a JSON Schema as the next version; the same bytes again answer the version that they have."""
    await call.threads.run(call.env.registry.subjects.get, call.tenant, call.named("subject"))
    call.given(SchemaVersionDefinition)
    await checked(call, schema_text(call.raw, MAX_SCHEMA_BYTES))
    return await again(call, _add)


async def _add(call: Call) -> Answer:
    subject, text = call.named("subject"), schema_text(call.raw, MAX_SCHEMA_BYTES)
    subjects = call.env.registry.subjects
    record = await call.threads.run(subjects.get, call.tenant, subject)
    present = await call.threads.run(subjects.find_version, call.tenant, subject, text)
    if present is not None:
        return _answer(present, 200)
    newest = (await call.threads.run(subjects.latest, call.tenant, [record.name]))[record.name]
    if newest:
        await _compatible(call, record, newest, text)
    added = await call.threads.run(
        subjects.add_version, call.tenant, subject, text, after=(record.version, newest), actor=call.actor
    )
    await call.env.view.refresh()
    return _answer(added, 201 if added.version > newest else 200)


async def get_version(call: Call) -> Answer:
    """Show the JSON Schema of one version, as it was given."""
    text = call.named("version")
    if not text.isdigit() or len(text) > MAX_DIGITS:
        raise Refused(Reason.NOT_FOUND, "versions are numbers: 1, 2, 3")
    found = await call.threads.run(
        call.env.registry.subjects.get_version, call.tenant, call.named("subject"), int(text)
    )
    return Answer(orjson.Fragment(found.schema_json), version=int(text))


def schema_text(raw: bytes, limit: int) -> bytes:
    """Return the member `schema` of a body byte for byte; raise `Refused` past `limit` bytes."""
    text = bytes(_VERSION_BODY.decode(raw).schema)
    if len(text) > limit:
        raise shapes.refuse("/schema", f"at most {limit:,} bytes")
    return text


async def checked(call: Call, text: bytes) -> None:
    """Refuse a schema that cannot be used, with pointers into the body."""
    try:
        async with call.threads.heavy:
            await call.threads.run(check_schema, text)
    except Refused as exc:
        moved = tuple((f"/schema{pointer}", message) for pointer, message in exc.errors)
        raise Refused(exc.reason, exc.detail, errors=moved) from None


async def _compatible(call: Call, record: Record[SubjectDefinition], newest: int, candidate: bytes) -> None:
    """Refuse a candidate that breaks the subject's compatibility, with every place and why."""
    wanted, subject = record.definition.compatibility, record.name
    if wanted == "none":
        return
    before = await call.threads.run(call.env.registry.subjects.get_version, call.tenant, subject, newest)
    texts = (before.schema_json, candidate)
    if record.definition.assert_formats:
        texts = (Asserted(texts[0]), Asserted(texts[1]))
    async with call.threads.heavy:
        monotonic = call.env.clock.monotonic
        until = monotonic() + COMPARE_S
        found = await call.threads.run(breaks, wanted, *texts, lambda: monotonic() > until)
    if found:
        errors = tuple((f"/schema{one.pointer}", _words(one.message, one.event)) for one in found)
        places = "1 place" if len(found) == 1 else f"{len(found)} places"
        detail = f"not {wanted} compatible with {subject}@{newest}: {places}; the first: {errors[0][0]}: {errors[0][1]}"
        raise Refused(Reason.INCOMPATIBLE_SCHEMA, detail, errors=errors)


def _words(message: str, event: str) -> str:
    return f"{message} (in events at {event})" if event else message


def _answer(found: SchemaVersion, status: int) -> Answer:
    headers = {"Location": f"/api/v1/schemas/{found.subject}/versions/{found.version}"}
    return Answer(_version(found), status=status, headers=headers)


def _version(item: SchemaVersion) -> dict[str, Any]:
    return {
        "subject": item.subject,
        "version": item.version,
        "pin": f"{item.subject}@{item.version}",
        "createdAt": shapes.instant(item.created_at_ms),
    }


ROUTES = (
    Route("GET", "/schemas/{subject}/versions", list_versions, "List the versions of a subject", _READ, VersionPage,
          query=shapes.PAGE),
    Route("POST", "/schemas/{subject}/versions", create_version, "Add a version: a JSON Schema", _WRITE, VersionAnswer,
          status=201, takes=SchemaVersionDefinition, also={200: VersionAnswer},
          refusals=(Reason.INCOMPATIBLE_SCHEMA, Reason.PRECONDITION_FAILED),
          example={"schema": {"type": "object", "required": ["ref"], "properties": {"ref": {"type": "string"}}}}),
    Route("GET", "/schemas/{subject}/versions/{version}", get_version, "Show the JSON Schema of a version", _READ,
          shapes.AnyObject),
)  # fmt: skip
