"""The contract on an S3 store."""

import datetime as dt
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow.fs import FileSelector, S3FileSystem

from schemas.backing.lake import conditional
from schemas.settings.processes import LakeSettings
from tests.house.s3 import BUCKET, Store
from tests.integration.lake import places
from tests.integration.lake.contract import Wired
from tests.integration.lake.places import Place


class TestS3(Wired):
    @pytest.fixture
    def place(self, tmp_path: Path, s3_store: Store) -> Iterator[Place]:
        with places.s3(tmp_path, s3_store) as found:
            yield found


def test_a_store_that_keeps_its_word_is_known_and_nothing_is_left_there(s3_store: Store) -> None:
    given = LakeSettings(catalog_warehouse=f"s3://{BUCKET}/of us/", catalog_properties=s3_store.properties())
    answer = conditional.probe(given, dt.datetime.now(dt.UTC), uuid.uuid4().hex)
    assert answer == conditional.Answer(True, "the second of two writes was refused")
    client = S3FileSystem(
        endpoint_override=s3_store.url, access_key=s3_store.key, secret_key=s3_store.secret, region="us-east-1"
    )
    left = [one.path for one in client.get_file_info(FileSelector(BUCKET, recursive=True))]
    assert not [path for path in left if "probe" in path]
