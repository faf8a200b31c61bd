"""The catalog as the analysts' door reads it: bounded memory, and a busy writer does not make it fail."""

import asyncio
import threading
from pathlib import Path

import pytest
from pyiceberg.catalog import Catalog

from schemas.errors import Overloaded
from sinks.read import catalog as reading
from sinks.read.catalog import CatalogTables, Texts
from tests.unit.sinks.ground import NAME, TOPIC, Ground


def test_keeps_so_many_bytes_and_drops_what_was_asked_for_longest_ago() -> None:
    texts = Texts(most=100)
    for name in "abcd":
        texts.put(name, b"x" * 25)
    assert texts.get("a") is not None
    texts.put("e", b"x" * 20)
    assert (texts.get("b"), len(texts)) == (None, 95)
    assert texts.get("a") is not None
    texts.put("large", b"x" * 26)
    assert texts.get("large") is None


def test_a_table_that_stands_still_is_read_once(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    ground.log.make(TOPIC)
    ground.run(until=lambda: ground.reader.table_exists(NAME))
    reads: list[str] = []
    real = reading._text

    def text(catalog: Catalog, location: str) -> bytes:
        reads.append(location)
        return real(catalog, location)

    monkeypatch.setattr(reading, "_text", text)
    tables = CatalogTables(lambda: ground.reader)
    for _ in range(3):
        assert asyncio.run(tables.exists(*NAME))
    assert reads == [ground.table().metadata_location]
    tables.close()


def test_looks_again_when_the_writer_has_just_deleted_the_file(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    ground.log.make(TOPIC)
    ground.run(until=lambda: ground.reader.table_exists(NAME))
    newest = ground.table().metadata_location
    looks = [str(Path(newest).with_name("gone.metadata.json")).replace("file:/", "file:///"), newest]
    monkeypatch.setattr(reading, "_pointer", lambda _catalog, _name: looks.pop(0))
    tables = CatalogTables(lambda: ground.reader)
    found = asyncio.run(tables.metadata(*NAME))
    assert found is not None
    assert found.location == newest
    tables.close()


def test_calls_that_hang_are_bounded(ground: Ground) -> None:
    held = threading.Event()
    tables = CatalogTables(lambda: held.wait() and ground.reader)  # type: ignore[return-value,arg-type]

    async def many() -> int:
        asked = [asyncio.ensure_future(tables.namespaces()) for _ in range(reading.MAX_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await tables.namespaces()
        held.set()
        return len(await asyncio.gather(*asked))

    assert asyncio.run(many()) == reading.MAX_WAITING
    tables.close()
