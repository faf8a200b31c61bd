"""One API over an empty registry a test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.api.world import Api, running


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Yield the running API and its client."""
    async with running(tmp_path) as found:
        yield found
