"""The contract on each kind of catalog, over local files."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.postgres import Postgres
from tests.house.rest_catalog import RestCatalogServer
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


class TestRest(Wired):
    @pytest.fixture
    def place(self, rest_catalog: RestCatalogServer) -> Iterator[Place]:
        with places.rest(rest_catalog) as found:
            yield found
