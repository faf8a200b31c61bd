"""The contract on SQL catalogs, over local files; the REST one is in test_rest.py."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.backing.lake import open_catalog
from schemas.settings.processes import LakeSettings
from tests.house.postgres import Postgres
from tests.integration.lake import places
from tests.integration.lake.contract import Lake, Wired
from tests.integration.lake.places import Place


class TestSqlite(Lake):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Iterator[Place]:
        with places.sqlite(tmp_path) as found:
            yield found


class TestPostgres(Wired):
    @pytest.fixture
    def place(self, tmp_path: Path, postgres: Postgres) -> Iterator[Place]:
        with places.postgres(tmp_path, postgres) as found:
            yield found


def test_a_limit_of_ones_own_in_the_address_of_postgres_stands(tmp_path: Path, postgres: Postgres) -> None:
    url = postgres.fresh_database() + "?connect_timeout=9&application_name=ours"
    catalog: Any = open_catalog(LakeSettings(catalog_uri=url, catalog_warehouse=tmp_path.as_uri()), timeout_s=3)
    with catalog.engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        assert raw.limit_s == 3
        assert raw.info.get_parameters()["connect_timeout"] == "9"
        assert raw.info.get_parameters()["application_name"] == "ours"
    catalog.close()
