"""The contract on an S3 store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.s3 import Store
from tests.integration.lake import places
from tests.integration.lake.contract import Wired
from tests.integration.lake.places import Place


class TestS3(Wired):
    @pytest.fixture
    def place(self, tmp_path: Path, s3_store: Store) -> Iterator[Place]:
        with places.s3(tmp_path, s3_store) as found:
            yield found
