"""The Iceberg catalog, as the settings name it.

Lives here: opening a catalog (SQL or REST through pyiceberg) with what our commits rely on: a time limit on each
request, since pyiceberg's REST session has none and a hung server would hang a writer for ever. Not here: tables.
https://py.iceberg.apache.org/configuration/
"""

from typing import Any

from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.catalog.rest import RestCatalog
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from sqlalchemy.exc import DBAPIError

from schemas.errors import ConfigurationError
from schemas.settings.processes import LakeSettings

DEFAULT_TIMEOUT_S = 30.0
_CONNECT_TIMEOUT_S = 5.0


class TimedAdapter(HTTPAdapter):
    """An HTTP adapter that gives each request without one a time limit, in seconds."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        super().__init__()

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:  # noqa: ANN401 requests' signature
        """Send `request`; raises requests.Timeout past the limit."""
        if kwargs.get("timeout") is None and (len(args) < 2 or args[1] is None):  # noqa: PLR2004 timeout is the third
            kwargs["timeout"] = (min(_CONNECT_TIMEOUT_S, self._timeout_s), self._timeout_s)
        return super().send(request, *args, **kwargs)


def open_catalog(settings: LakeSettings, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Catalog:
    """Open the catalog; raises `ConfigurationError` when settings are missing, the driver's error when it is away."""
    if settings.catalog_uri is None and settings.catalog_type != "glue":
        raise ConfigurationError(
            "catalog_uri is missing: set HOOKBERG_CATALOG_URI, for example sqlite:////srv/catalog.db"
        )
    if settings.catalog_warehouse is None and settings.catalog_type == "sql":
        raise ConfigurationError("catalog_warehouse is missing: set HOOKBERG_CATALOG_WAREHOUSE, file:///… or s3://…")
    properties: dict[str, Any] = {"type": settings.catalog_type}
    if settings.catalog_uri is not None:
        properties["uri"] = settings.catalog_uri.get_secret_value()
    if settings.catalog_warehouse is not None:
        properties["warehouse"] = settings.catalog_warehouse
    properties |= {name: str(value) for name, value in settings.catalog_properties.items()}
    try:
        catalog = load_catalog(settings.catalog_name, **properties)
    except DBAPIError:  # two processes made the tables of a new SQL catalog at once: the slower one finds them made
        catalog = load_catalog(settings.catalog_name, **properties)
    if isinstance(catalog, RestCatalog):
        for prefix in ("http://", "https://"):
            catalog._session.mount(prefix, TimedAdapter(timeout_s))  # noqa: SLF001 listed in sinks/table/README.md
    return catalog
