"""What is handed to analysts holds no secret; a table is dropped only for its owner."""

from pathlib import Path

import pyarrow as pa

from schemas.backing.lake import open_catalog
from schemas.settings.processes import LakeSettings
from sinks.jobs.drop_table import drop
from sinks.read.snippets import snippets, uri
from sinks.table import create, schema, state


def test_snippets_show_no_password() -> None:
    given = LakeSettings(catalog_uri="postgresql+psycopg://me:hush@db/lake", catalog_warehouse="s3://lake")
    texts = snippets(given, ("acme", "orders"), "s3://lake/acme/orders/metadata/1.metadata.json")
    assert uri(given) == "postgresql+psycopg://me:***@db/lake"
    assert "hush" not in repr(texts)
    assert "jdbc:postgresql://me:***@db/lake" in texts["spark"]


def test_drops_only_the_table_of_the_stream_that_is_named(tmp_path: Path) -> None:
    catalog = open_catalog(
        LakeSettings(catalog_uri=f"sqlite:///{tmp_path}/c.db", catalog_warehouse=f"file://{tmp_path}/w")
    )
    create.take(catalog, ("acme", "ours"), schema.events(), "s1", dict)
    catalog.create_table(("acme", "theirs"), pa.schema([("a", pa.string())]))
    for table, owner in (("ours", "s2"), ("theirs", "s1")):
        result, failed = drop(catalog, {"namespace": "acme", "table": table, "streamId": owner})
        assert failed
        assert not result["dropped"]
    assert state.owner(catalog.load_table(("acme", "ours")).metadata) == "s1"
    assert drop(catalog, {"namespace": "acme", "table": "ours", "streamId": "s1"}) == ({"dropped": True}, False)
    assert drop(catalog, {"namespace": "acme", "table": "ours", "streamId": "s1"})[1] is False
    assert not catalog.table_exists(("acme", "ours"))
    assert catalog.table_exists(("acme", "theirs"))
    catalog.close()
