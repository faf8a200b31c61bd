"""Contacts: people and teams that webhooks may be sent to as admins, owners and followers (spec section 10)."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from schemas import names
from schemas.definitions.base import Definition
from schemas.definitions.webhook import Term

MAX_CONTACTS = 10_000
"""Of a tenant."""
MAX_NAME = 128
_NAME = re.compile(r"[^\x00-\x1f\x7f/\\]{1,128}")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value) or value != value.strip() or names.is_uuid(value):
        raise ValueError("use 1-128 characters, no slash, no control character, no space at an end, and not a UUID")
    return value


class ContactDefinition(Definition):
    """What `POST /contacts` takes.

    `follows`: full names of entities, or `entityType:full name`, globs allowed (`table:acme.orders*`). `teams`: names
    of team contacts that a user belongs to. A contact without `endpoint` is told of by a log line alone.
    """

    name: Annotated[str, AfterValidator(_name)]
    type: Annotated[str, Field(pattern="^(user|team)$")] = "user"
    display_name: str | None = Field(default=None, max_length=256)
    admin: bool = False
    teams: tuple[Term, ...] = Field(default=(), max_length=100)
    follows: tuple[Term, ...] = Field(default=(), max_length=1000)
    endpoint: str | None = Field(default=None, min_length=1, max_length=2048)
