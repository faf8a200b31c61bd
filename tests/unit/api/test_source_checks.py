"""A source's partitioning is frozen from its adapter."""

import pytest

from ingress.api.resources.source_checks import partitioning
from schemas.definitions.auth import Auth
from schemas.definitions.source import SourceDefinition
from schemas.errors import Refused
from schemas.vendors.base import Facts, Vendor

VENDOR = Vendor(name="v", title="V", docs="https://v.example", auth=None, facts=lambda _item, _headers: Facts(None))


def test_refuses_event_partitioning_without_an_id_per_delivery() -> None:
    wanted = SourceDefinition(platform="v", auth=Auth(type="none"), partitioning="event")
    with pytest.raises(Refused) as caught:
        partitioning(wanted, VENDOR)
    assert caught.value.errors[0][0] == "/partitioning"
    assert partitioning(SourceDefinition(platform="v", auth=Auth(type="none")), VENDOR) == "source"
