"""The contract of catalogs and stores on versitygw, a store that checks keys and signatures as AWS does."""

import datetime as dt
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.backing.lake import conditional, open_catalog
from schemas.settings.processes import LakeSettings
from tests.house.s3 import BUCKET, Store
from tests.integration.lake import places
from tests.integration.lake.contract import Wired
from tests.integration.lake.places import Place


class TestVersitygw(Wired):
    @pytest.fixture
    def place(self, tmp_path: Path, versitygw: Store) -> Iterator[Place]:
        with places.s3(tmp_path, versitygw) as found:
            yield found

    def test_a_wrong_secret_is_refused(self, place: Place) -> None:
        place.table(place.open())
        wrong = {**place.settings.catalog_properties, "s3.secret-access-key": "wrong"}
        catalog = open_catalog(place.settings.model_copy(update={"catalog_properties": wrong}))
        with pytest.raises(OSError, match=r"(?i)ACCESS_DENIED|SignatureDoesNotMatch|HTTP (status )?code.*403"):
            catalog.load_table(place.identifier)
        catalog.close()


def test_its_conditional_writes_are_known_by_a_signed_probe(versitygw: Store) -> None:
    given = LakeSettings(catalog_warehouse=f"s3://{BUCKET}/of us", catalog_properties=versitygw.properties())
    answer = conditional.probe(given, dt.datetime.now(dt.UTC), uuid.uuid4().hex)
    assert answer == conditional.Answer(True, "the second of two writes was refused")
