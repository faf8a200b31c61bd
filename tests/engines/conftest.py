"""The option that asks for what takes long builds and downloads, and its fixtures. `make test-integration` gives it."""

from collections.abc import Iterator

import pytest

from tests.engines import spark as engine
from tests.house import s3
from tests.integration.api.conftest import template

__all__ = ["template"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register --run-engines."""
    parser.addoption("--run-engines", action="store_true", help="fetch Spark, build versitygw, and run them")


@pytest.fixture(autouse=True)
def asked_for(request: pytest.FixtureRequest) -> None:
    """Skip where the option is not given."""
    if not request.config.getoption("--run-engines", default=False):
        pytest.skip("engines and stores with long builds run with --run-engines (make test-integration)")


@pytest.fixture(scope="session")
def spark() -> engine.Spark:
    """Return Spark, fetched once."""
    return engine.ensure()


@pytest.fixture(scope="session")
def versitygw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.Store]:
    """Yield versitygw; skips with what to install where Go is missing."""
    try:
        with s3.versitygw(tmp_path_factory.mktemp("versitygw")) as store:
            yield store
    except s3.StoreMissingError as error:
        pytest.skip(str(error))
