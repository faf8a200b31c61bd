"""All tables of ours in a deleted tenant's namespaces go, and nobody else's."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog

from schemas.backing.lake import open_catalog
from schemas.settings.processes import LakeSettings
from sinks.jobs.drop_tables import drop_all
from sinks.table import create, schema, state

NONE = pa.schema([("a", pa.string())])


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    uri, warehouse = f"sqlite:///{tmp_path}/c.db", f"file://{tmp_path}/w"
    made = open_catalog(LakeSettings(catalog_uri=uri, catalog_warehouse=warehouse))
    for space, table in (("acme", "orders"), ("acme__crm", "leads"), ("acme2", "orders"), ("acme-2__crm", "leads")):
        create.take(made, (space, table), schema.events(), f"of-{space}", dict)
    made.create_table(("acme", "theirs"), NONE)
    yield made
    made.close()


def nothing(_value: float) -> None:
    """Stand in for a sleep, and for a lease."""


def tables(catalog: Catalog) -> set[str]:
    return {".".join(table) for space in catalog.list_namespaces() for table in catalog.list_tables(space)}


def test_tables_of_ours_go_and_those_of_others_and_of_other_tenants_stay(catalog: Catalog) -> None:
    told = drop_all(catalog, "acme", nothing, nothing)
    assert told == {"dropped": ["acme.orders", "acme__crm.leads"], "left": ["acme.theirs"]}
    assert tables(catalog) == {"acme.theirs", "acme2.orders", "acme-2__crm.leads"}
    assert not catalog.namespace_exists("acme__crm")
    assert catalog.namespace_exists("acme")
    assert drop_all(catalog, "acme", nothing, nothing) == {"dropped": [], "left": ["acme.theirs"]}


def test_broken_off_between_mark_and_end_it_goes_on(catalog: Catalog) -> None:
    def ended(_seconds: float) -> None:
        assert state.owner(catalog.load_table(("acme", "orders")).metadata) == "dropped:of-acme"
        raise OSError("the process ends")

    with pytest.raises(OSError, match="the process ends"):
        drop_all(catalog, "acme", nothing, ended)
    assert "acme.orders" in tables(catalog)
    assert drop_all(catalog, "acme", nothing, nothing)["dropped"] == ["acme.orders", "acme__crm.leads"]
