"""An outbound webhook: who is told of which entity changes, where, in what form (spec section 10).

Lives here: OpenMetadata's webhook entity as REST takes it. Not here: what became of its deliveries (notification.py),
which events match (sinks/notify). Model: https://docs.open-metadata.org/latest/main-concepts/metadata-standard/schemas
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, ConfigDict, Field, SecretStr, WithJsonSchema, field_validator, model_validator
from pydantic.config import JsonDict

from schemas import names
from schemas.definitions.base import Definition
from schemas.wire.entity_event import EventType

MAX_BATCH = 100
MAX_FILTERS = 50
MAX_TERMS = 200
MAX_HEADERS = 50
MAX_EXTENSION_BYTES = 32 << 10
MAX_EXTENSION_DEPTH = 10
MAX_DEFINITION_BYTES = 256 << 10
MAX_WEBHOOKS = 1_000
"""Of a tenant."""
MASK = "*********"
"""What stands for a secret in answers; sent back it means: leave it as it is."""
JSON_TYPE = "application/json"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_FIELD_VALUE = re.compile(r"[\x20-\x7e\t]{0,4096}")
RESERVED_HEADERS = frozenset({
    "connection", "content-encoding", "content-length", "content-type", "expect", "host", "keep-alive",
    "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "webhook-id",
    "webhook-signature", "webhook-timestamp", "svix-id", "svix-signature", "svix-timestamp", "x-om-signature",
    "x-openmetadata-signature",
})  # fmt: skip
"""Headers that are ours or the connection's."""


_SECRET_SCHEMA = {
    "anyOf": [{"type": "string", "minLength": 1, "maxLength": 512, "format": "password"}, {"type": "null"}],
    "description": f"written only: answers show {MASK} for one, which sent back leaves it as it is; null removes it",
}
_HEADERS_SCHEMA = {
    "type": "object",
    "maxProperties": MAX_HEADERS,
    "propertyNames": {"pattern": f"^{_TOKEN.pattern}$"},
    "additionalProperties": {"type": "string", "pattern": f"^{_FIELD_VALUE.pattern}$"},
}
_NAME_SCHEMA = {"type": "string", "pattern": f"^(?!{names.UUID}$){names.WEBHOOK}$"}
_SOMEWHERE: JsonDict = {
    "anyOf": [
        {"required": ["endpoint"], "properties": {"endpoint": {"type": "string"}}},
        {"required": ["sendToAdmins"], "properties": {"sendToAdmins": {"const": True}}},
        {"required": ["sendToOwners"], "properties": {"sendToOwners": {"const": True}}},
        {"required": ["sendToFollowers"], "properties": {"sendToFollowers": {"const": True}}},
    ]
}


class WebhookType(StrEnum):
    """The form of what is sent."""

    GENERIC = "Generic"
    SLACK = "Slack"
    MS_TEAMS = "MSTeams"
    GOOGLE_CHAT = "GoogleChat"
    CUSTOM = "Custom"


class WebhookStatus(StrEnum):
    """How its deliveries go; set by what happens, never by a caller (OpenMetadata's words)."""

    ACTIVE = "active"
    DISABLED = "disabled"
    FAILED = "failed"
    AWAITING_RETRY = "awaitingRetry"
    RETRY_LIMIT_REACHED = "retryLimitReached"


Term = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")]
Terms = Annotated[tuple[Term, ...], Field(max_length=MAX_TERMS)]


class EventFilter(Definition):
    """Which events: of this type, about these entity types (`*`: all), narrowed by `include`, less `exclude`.

    Terms of include and exclude: changed field (`state`, nested `a.b`), `domain:X`, `tag:X`, `owner:X`. The table of
    their meaning stands in sinks/notify/README.md.
    """

    event_type: EventType
    entities: Terms = ("*",)
    include: Terms = ()
    exclude: Terms = ()


class WebhookConfig(Definition):
    """Where and how: `timeout` in seconds; `secretKey` is written only and never shown."""

    model_config = ConfigDict(json_schema_extra=_SOMEWHERE)

    endpoint: str | None = Field(default=None, min_length=1, max_length=2048)
    secret_key: Annotated[SecretStr | None, Field(min_length=1, max_length=512), WithJsonSchema(_SECRET_SCHEMA)] = None
    headers: Annotated[dict[str, str], WithJsonSchema(_HEADERS_SCHEMA)] = Field(
        default_factory=dict, max_length=MAX_HEADERS
    )
    timeout: int = Field(default=10, ge=1, le=60, strict=True)
    send_to_admins: bool = Field(default=False, strict=True)
    send_to_owners: bool = Field(default=False, strict=True)
    send_to_followers: bool = Field(default=False, strict=True)

    @property
    def sends_to_contacts(self) -> bool:
        """Tell whether anybody beside its own endpoint is told."""
        return self.send_to_admins or self.send_to_owners or self.send_to_followers

    @field_validator("headers")
    @classmethod
    def _plain(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if (name.lower(), text.lower()) == ("content-type", JSON_TYPE):
                continue  # what is sent anyway: OpenMetadata's users write it down
            if not _TOKEN.fullmatch(name) or name.lower() in RESERVED_HEADERS:
                raise ValueError(f"{name[:80]!r} cannot be set: no header's name, or one that Hookberg itself sends")
            if not _FIELD_VALUE.fullmatch(text):
                raise ValueError(f"header {name}: at most 4096 printable ASCII characters on one line")
        if len({name.lower() for name in value}) != len(value):
            raise ValueError("a header is named twice, in other case")
        return value

    @model_validator(mode="after")
    def _somewhere(self) -> "WebhookConfig":
        if self.endpoint is None and not self.sends_to_contacts:
            raise ValueError("name an endpoint, or one of sendToAdmins, sendToOwners, sendToFollowers")
        return self


class EntityReference(Definition):
    """Points to another entity: a contact as owner, a domain, a webhook as fallback; by id, name or full name."""

    id: str | None = Field(default=None, max_length=128)
    type: str = Field(min_length=1, max_length=64)
    name: str | None = Field(default=None, max_length=256)
    fully_qualified_name: str | None = Field(default=None, max_length=512)
    display_name: str | None = Field(default=None, max_length=256)
    description: str | None = Field(default=None, max_length=2000)
    href: str | None = Field(default=None, max_length=2048)
    deleted: bool | None = Field(default=None, strict=True)


class TagLabel(Definition):
    """A tag as OpenMetadata labels it."""

    tag_fqn: str = Field(alias="tagFQN", min_length=1, max_length=256)
    description: str | None = Field(default=None, max_length=2000)
    source: Literal["Classification", "Glossary", "Tag"] = "Classification"
    label_type: Literal["Manual", "Propagated", "Automated", "Derived"] = "Manual"
    state: Literal["Suggested", "Confirmed"] = "Confirmed"
    href: str | None = Field(default=None, max_length=2048)


def _bounded(value: dict[str, Any]) -> dict[str, Any]:
    """Return properties that are small enough to be kept, shown and sent with each change."""
    level: list[Any] = [value]
    for _ in range(MAX_EXTENSION_DEPTH + 1):
        level = [item for each in level for item in (each.values() if isinstance(each, dict) else each)
                 if isinstance(item, (dict, list))]  # fmt: skip
    if level:
        raise ValueError(f"nests deeper than {MAX_EXTENSION_DEPTH} levels")
    if len(orjson.dumps(value, default=str)) > MAX_EXTENSION_BYTES:
        raise ValueError(f"takes at most {MAX_EXTENSION_BYTES} bytes as JSON")
    return value


class WebhookDefinition(Definition):
    """What `POST /webhooks` takes; what the server sets besides is in its answer alone."""

    name: Annotated[str, AfterValidator(names.webhook), WithJsonSchema(_NAME_SCHEMA)]
    display_name: str | None = Field(default=None, max_length=256)
    description: str = Field(default="", max_length=4000)
    webhook_type: WebhookType = WebhookType.GENERIC
    enabled: bool = Field(default=True, strict=True)
    batch_size: int = Field(default=10, ge=1, le=MAX_BATCH, strict=True)
    event_filters: tuple[EventFilter, ...] = Field(min_length=1, max_length=MAX_FILTERS)
    webhook_config: WebhookConfig
    owner: EntityReference | None = None
    tags: tuple[TagLabel, ...] = Field(default=(), max_length=100)
    domain: EntityReference | None = None
    extension: Annotated[dict[str, Any], AfterValidator(_bounded)] = Field(default_factory=dict, max_length=100)
    fallback: EntityReference | None = None

    @property
    def secret(self) -> str | None:
        """Return the secret that a caller gave, in the clear."""
        given = self.webhook_config.secret_key
        return None if given is None else given.get_secret_value()

    def without_secret(self) -> "WebhookDefinition":
        """Return what may be stored and shown."""
        return self.model_copy(update={"webhook_config": self.webhook_config.model_copy(update={"secret_key": None})})


READ_ONLY: Mapping[str, str] = {
    "id": "given by the server",
    "fullyQualifiedName": "{tenant}.{name}",
    "status": "set by what happens to deliveries; set `enabled` to begin anew",
    "failureDetails": "set by what happens to deliveries",
    "version": "counted by the server",
    "updatedAt": "set by the server",
    "updatedBy": "set by the server",
    "href": "set by the server",
    "changeDescription": "set by the server",
    "deleted": "use DELETE and restore",
}
"""Members of the answer that no caller sets, and why: a PUT that sends them back as they were is taken."""
