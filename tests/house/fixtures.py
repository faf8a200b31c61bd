"""Session fixtures of the test stack, each started when the first test asks for it.

Lives here: fixtures. May not live here: how things are started (the other modules of this folder).
"""

from collections.abc import Iterator

import pytest

from tests.house import s3, stack
from tests.house.certificates import authority, issued
from tests.house.rest_catalog import RestCatalogServer


@pytest.fixture(scope="session")
def kafka_bootstrap() -> Iterator[str]:
    """Yield the address of the run's one broker (shared by all xdist workers)."""
    with stack.kafka() as bootstrap:
        yield bootstrap


@pytest.fixture(scope="session")
def postgres() -> Iterator[stack.Postgres]:
    """Yield a throw-away PostgreSQL server; skips with the reason where there is none."""
    try:
        with stack.postgres() as server:
            yield server
    except stack.PostgresMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def up_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stack.UpServer]:
    """Yield a ready `hookberg up`; tests isolate themselves by making their own tenant."""
    with stack.up_server(tmp_path_factory.mktemp("up") / "data") as server:
        yield server


@pytest.fixture(scope="session")
def rest_catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestCatalogServer]:
    """Yield an Iceberg REST catalog server, on TLS too by an authority whose certificate is `ca.pem` in its folder."""
    folder, root = tmp_path_factory.mktemp("rest-catalog"), authority()
    root.write(folder, "ca")
    server = RestCatalogServer(folder, issued(root, "localhost", server=True))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def s3_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.Store]:
    """Yield moto's S3 server."""
    with s3.moto(tmp_path_factory.mktemp("moto")) as store:
        yield store
