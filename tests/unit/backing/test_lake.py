"""Settings become a catalog's properties as they were meant."""

import inspect
import sys

import psycopg
import pytest
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.catalog.sql import SqlCatalog

from schemas.backing.lake import open_catalog, properties_of
from schemas.errors import ConfigurationError
from schemas.settings.processes import LakeSettings


def test_objects_among_the_properties_stay_objects_and_the_rest_is_text() -> None:
    authority = {"cabundle": "/etc/ca.pem"}
    given = LakeSettings(
        catalog_type="rest",
        catalog_uri="https://catalog.example",
        catalog_properties={"ssl": authority, "s3.request-timeout": 20, "rest.sigv4-enabled": True},
    )
    assert properties_of(given) == {
        "uri": "https://catalog.example",
        "ssl": authority,
        "s3.request-timeout": "20",
        "rest.sigv4-enabled": "True",
    }


def test_says_what_glue_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(ConfigurationError, match="boto3"):
        open_catalog(LakeSettings(catalog_type="glue"))


def test_the_private_names_that_bound_each_request_are_what_they_were() -> None:
    assert list(inspect.signature(RestCatalog._create_session).parameters) == ["self"]
    assert list(inspect.signature(RestCatalog._create_legacy_oauth2_auth_manager).parameters) == ["self", "session"]
    assert list(inspect.signature(SqlCatalog._init_catalog).parameters) == ["self"]
    assert list(inspect.signature(psycopg.Connection.wait).parameters) == ["self", "gen", "interval", "timeout"]
    assert issubclass(psycopg.errors._WaitTimeout, psycopg.OperationalError)
