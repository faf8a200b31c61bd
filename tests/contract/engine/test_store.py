"""One suite over RocksDB and the store in memory: what the table relies on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.engine.store import Opener, RocksStore
from tests.fakes.store import Disk, MemoryStore


def _memory() -> Opener:
    disk = Disk()
    return lambda _folder: MemoryStore(disk)


@pytest.fixture(params=[_memory, lambda: RocksStore], ids=["memory", "rocksdb"])
def opener(request: pytest.FixtureRequest) -> Opener:
    make: Callable[[], Opener] = request.param
    return make()


def test_reads_in_the_order_that_was_asked(opener: Opener, tmp_path: Path) -> None:
    store = opener(tmp_path / "s")
    store.write([(b"b", b"2"), (b"a", b"1")])
    assert store.many([b"b", b"x", b"a", b"b"]) == [b"2", None, b"1", b"2"]
    assert store.many([]) == []
    store.close()


def test_the_last_entry_of_a_key_counts_and_none_removes(opener: Opener, tmp_path: Path) -> None:
    store = opener(tmp_path / "s")
    store.write([(b"a", b"1"), (b"a", b"2"), (b"b", b"1"), (b"b", None), (b"c", None), (b"c", b"3")])
    assert store.many([b"a", b"b", b"c"]) == [b"2", None, b"3"]
    store.close()


def test_scans_in_the_order_of_keys_from_a_key_on(opener: Opener, tmp_path: Path) -> None:
    store = opener(tmp_path / "s")
    store.write([(key, key) for key in (b"\x03b", b"\x01", b"\x03\xff", b"\x03a", b"\x04")])
    assert [key for key, _ in store.scan(b"\x03")] == [b"\x03a", b"\x03b", b"\x03\xff", b"\x04"]
    assert list(store.scan(b"\x05")) == []
    store.close()


def test_a_write_that_fails_half_way_leaves_nothing(opener: Opener, tmp_path: Path) -> None:
    store = opener(tmp_path / "s")

    def entries() -> Iterator[tuple[bytes, bytes | None]]:
        yield b"a", b"1"
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        store.write(entries())
    assert store.many([b"a"]) == [None]
    store.close()


def test_what_was_written_is_there_after_closing_and_gone_after_destroying(opener: Opener, tmp_path: Path) -> None:
    store = opener(tmp_path / "s")
    store.write([(b"a", b"1")])
    store.close()
    again = opener(tmp_path / "s")
    assert again.many([b"a"]) == [b"1"]
    again.destroy()
    empty = opener(tmp_path / "s")
    assert empty.many([b"a"]) == [None]
    empty.close()


def test_one_process_has_it_open_at_a_time(opener: Opener, tmp_path: Path) -> None:
    store = opener(tmp_path / "s")
    with pytest.raises(Exception, match=r"(?i)lock|open"):
        opener(tmp_path / "s")
    store.close()
