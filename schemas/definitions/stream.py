"""A stream: a running materialization of topics into an Iceberg table, with start and stop (spec section 5)."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)

from schemas import names, topics
from schemas.definitions.base import Definition
from schemas.definitions.cuts import cuts, orders

TENANT_VARIABLE = "{tenantId}"
StreamName = Annotated[str, AfterValidator(lambda value: names.label("stream", value))]
TargetTable = Annotated[str, AfterValidator(names.target_table)]
Path = Annotated[str, Field(min_length=1, max_length=256)]


MAX_SPLIT_TABLE = 64
"""Characters of a table's name that is followed by those of types."""


def _start_from(value: Any, usual: ValidatorFunctionWrapHandler) -> Any:  # noqa: ANN401 JSON
    try:
        return usual(value)
    except ValueError:
        raise ValueError("must be `earliest`, `latest` or a time such as 2026-11-21T08:00:00Z") from None


StartFrom = Annotated[Literal["earliest", "latest"] | AwareDatetime, WrapValidator(_start_from)]


class State(StrEnum):
    """Where a stream is; `failed` comes with a reason and a message."""

    CREATED = "created"
    STARTING = "starting"
    WAITING = "waiting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


class Contract(Definition):
    """What may change in the table: dlt's words, for columns and for data types."""

    columns: Literal["evolve", "freeze", "discardRow", "discardValue"] = "evolve"
    data_types: Literal["evolve", "freeze", "discardRow", "discardValue"] = "evolve"


class DeleteWhen(Definition):
    """When an event deletes its key: the value at `path` is one of `in`."""

    path: Path
    values: tuple[str | int | bool, ...] = Field(alias="in", min_length=1, max_length=20)


class StreamDefinition(Definition):
    """What `POST /streams` takes; the defaults make the four-member quick start enough.

    `topics` name raw or clean topics; `{tenantId}` stands for the caller's tenant (resolved by the API with `resolve`).
    What `UNSUPPORTED_YET` leaves out is part of the format and refused with `unsupported` until its writer runs.
    """

    name: StreamName
    description: str = Field(default="", max_length=2000)
    topics: tuple[Annotated[str, Field(min_length=1, max_length=256)], ...] = Field(min_length=1, max_length=16)
    target_table: TargetTable | None = None
    value_format: str = "JSON"
    event_types: tuple[Annotated[str, Field(min_length=1, max_length=256)], ...] = Field(default=(), max_length=200)
    split_by: Literal["none", "eventType"] = "none"
    layout: Literal["nested", "flat", "raw"] = "nested"
    typed_depth: int = Field(default=3, ge=1, le=10)
    max_columns: int = Field(default=500, ge=1, le=5000)
    columns: tuple[Path, ...] = Field(default=(), max_length=500)
    write_mode: Literal["append", "upsert"] = "append"
    primary_key: tuple[Annotated[str, Field(min_length=1, max_length=50)], ...] = Field(default=(), max_length=16)
    sequence_field: Path | None = None
    delete_when: DeleteWhen | None = None
    column_names: Literal["hookberg", "stitch"] = "hookberg"
    contract: Contract = Contract()
    start_from: StartFrom = "earliest"
    freshness_seconds: float = Field(default=5, ge=0.2, le=3600)
    partition_by: tuple[Path, ...] = Field(default=("day(received_at)",), max_length=4)
    sort_by: tuple[Path, ...] = Field(default=(), max_length=4)
    retention_days: int | None = Field(default=None, ge=1, le=36_500)

    @field_validator("topics")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a topic is named twice")
        return value

    @field_validator("partition_by")
    @classmethod
    def _cuts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(cut) for cut in cuts(value))

    @field_validator("sort_by")
    @classmethod
    def _orders(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        orders(value)
        return value

    @field_validator("primary_key")
    @classmethod
    def _typed_key(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a member is named twice")
        if value and info.data.get("layout") == "raw" and info.data.get("write_mode") != "upsert":
            raise ValueError("needs typed columns: leave `layout` raw out")
        return value

    @field_validator("sequence_field")
    @classmethod
    def _sequence_of_a_key(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and not info.data.get("primary_key"):
            raise ValueError("tells the versions of a key apart: name primaryKey too")
        return value

    @field_validator("split_by")
    @classmethod
    def _room_for_types(cls, value: str, info: ValidationInfo) -> str:
        table = str(info.data.get("target_table") or "").rpartition(".")[2]
        if value != "none" and len(table) > MAX_SPLIT_TABLE:
            raise ValueError(f"tables are targetTable_type: use at most {MAX_SPLIT_TABLE} characters for targetTable")
        return value

    @field_validator("write_mode")
    @classmethod
    def _upserts_are_one_table(cls, value: str, info: ValidationInfo) -> str:
        if value == "upsert" and info.data.get("split_by") == "eventType":
            raise ValueError("upsert keeps the versions of a key in one table: leave splitBy out")
        return value

    @field_validator("delete_when")
    @classmethod
    def _deletes_of_upserts(cls, value: DeleteWhen | None, info: ValidationInfo) -> DeleteWhen | None:
        if value is not None and info.data.get("write_mode") != "upsert":
            raise ValueError("deletes rows of an upsert table only: set `writeMode: upsert` or leave it out")
        return value

    @field_validator("retention_days")
    @classmethod
    def _upserts_forget_nothing(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get("write_mode") == "upsert":
            raise ValueError("upsert keeps the newest version of every key, however old: leave retentionDays out")
        return value

    @field_validator("column_names")
    @classmethod
    def _stitch_is_flat(cls, value: str, info: ValidationInfo) -> str:
        if value == "stitch" and info.data.get("layout") != "flat":
            raise ValueError("stitch needs `layout: flat`: leave layout out")
        return value

    @model_validator(mode="before")
    @classmethod
    def _upserts_have_a_key(cls, value: Any) -> Any:  # noqa: ANN401 JSON
        """Refuse an upsert without a key; without partitions unless asked: each one touched costs a commit a file."""
        if not isinstance(value, dict) or value.get("writeMode") != "upsert":
            return value
        if not value.get("primaryKey"):
            raise ValueError("primaryKey is missing: name the payload's members whose values make a key")
        return {"partitionBy": [], **value}

    @model_validator(mode="before")
    @classmethod
    def _stitch_names_its_table(cls, value: Any) -> Any:  # noqa: ANN401 JSON
        if not isinstance(value, dict):
            return value
        if value.get("columnNames") == "stitch":
            name = value.get("name")
            named = {"targetTable": names.stitch_table(name)} if isinstance(name, str) else {}
            value = {"layout": "flat", **value, **(named if not value.get("targetTable") else {})}
        elif not value.get("targetTable"):
            raise ValueError("targetTable is missing: name the Iceberg table, for example `slack_events`")
        return value


UNSUPPORTED_YET: dict[str, tuple[Any, ...]] = {
    "value_format": ("JSON",),
}
"""Per field the values that this release runs; the API refuses the others with 422 `unsupported`."""


def resolve(topic: str, tenant: str) -> str:
    """Put the tenant into a topic as a stream names it; the caller checks that the result is the tenant's own."""
    return topic.replace(TENANT_VARIABLE, tenant)


def read_topic(topic: str) -> str:
    """Return the topic that a writer reads for a named one: `T.webhook.P` means the events of that topic."""
    parsed = topics.parse(topic)
    if parsed is not None and parsed.kind is topics.Kind.WEBHOOK:
        return topics.event(parsed.tenant, parsed.target)
    return topic
