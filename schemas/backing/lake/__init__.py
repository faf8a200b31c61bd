"""The Iceberg catalog, as the settings name it.

Lives here: opening a catalog (SQL, REST, Glue through pyiceberg) with what our commits rely on: a time limit on each
request (rest.py, sql.py), since pyiceberg sets none and a hung server would hang a writer for ever; the probe of what
the store keeps of its word (conditional.py). Not here: tables. README.md has the settings of each catalog and store.
https://py.iceberg.apache.org/configuration/
"""

from typing import Any

import psycopg
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import NotInstalledError
from sqlalchemy.exc import DBAPIError

from schemas.backing.lake.rest import BoundedRest
from schemas.backing.lake.sql import BoundedSql
from schemas.errors import ConfigurationError
from schemas.settings.processes import LakeSettings

DEFAULT_TIMEOUT_S = 30.0


def open_catalog(settings: LakeSettings, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Catalog:
    """Open the catalog; raises `ConfigurationError` when settings are missing, the driver's error when it is away.

    `timeout_s` bounds the wait for each answer of a REST server and of PostgreSQL.
    """
    if settings.catalog_uri is None and settings.catalog_type != "glue":
        raise ConfigurationError(
            "catalog_uri is missing: set HOOKBERG_CATALOG_URI, for example sqlite:////srv/catalog.db"
        )
    if settings.catalog_warehouse is None and settings.catalog_type == "sql":
        raise ConfigurationError("catalog_warehouse is missing: set HOOKBERG_CATALOG_WAREHOUSE, file:///… or s3://…")
    name, properties = settings.catalog_name, properties_of(settings)
    if settings.catalog_type == "rest":
        return BoundedRest(name, timeout_s=timeout_s, **properties)
    if settings.catalog_type == "sql":
        try:
            return BoundedSql(name, timeout_s=timeout_s, **properties)
        except DBAPIError as error:
            if isinstance(error.orig, psycopg.OperationalError):  # away
                raise
            # two processes made the tables of a new catalog at once: the slower one finds them made
            return BoundedSql(name, timeout_s=timeout_s, **properties)
    try:
        return load_catalog(name, type=settings.catalog_type, **properties)
    except NotInstalledError:
        raise ConfigurationError(
            "catalog_type glue needs the package boto3, which is not installed: add it to the image, or use Glue's "
            "REST endpoint (schemas/backing/lake/README.md)"
        ) from None


def properties_of(settings: LakeSettings) -> dict[str, Any]:
    """Return pyiceberg's properties: texts, but `ssl` and `auth` stay the objects that they are."""
    properties: dict[str, Any] = {}
    if settings.catalog_uri is not None:
        properties["uri"] = settings.catalog_uri.get_secret_value()
    if settings.catalog_warehouse is not None:
        properties["warehouse"] = settings.catalog_warehouse
    for name, value in settings.catalog_properties.items():
        properties[name] = value if isinstance(value, dict) else str(value)
    return properties
