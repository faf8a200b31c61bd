"""What a tenant's deletion needs of the world, as one frozen value; deploy builds it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka.admin import AdminClient
from pyiceberg.catalog import Catalog

from schemas.backing.kafka import Topics
from schemas.backing.kafka.lags import Lags
from schemas.backing.registry import Registry
from schemas.ports import RegistryView


@dataclass(frozen=True, slots=True)
class World:
    """The registry and a view of it, Kafka's topics and lags, the catalog, the wall clock in ms."""

    registry: Registry
    view: RegistryView
    topics: Topics
    lags: Lags
    admin: AdminClient
    kafka: Mapping[str, Any] = field(repr=False)
    catalog: Catalog
    now_ms: Callable[[], int]
