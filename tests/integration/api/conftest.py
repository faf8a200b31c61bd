"""One API over an empty registry a test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.api.world import Api, registry_in, running


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrate an empty registry once and return its file: a copy of it is a new registry."""
    folder = tmp_path_factory.mktemp("template")
    registry = registry_in(folder)
    registry.migrate()
    registry.close()
    return folder / "registry.db"


@pytest.fixture
async def api(tmp_path: Path, template: Path) -> AsyncIterator[Api]:
    """Yield the running API and its client."""
    async with running(tmp_path, template) as found:
        yield found
