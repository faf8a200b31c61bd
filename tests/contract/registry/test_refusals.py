"""Rings of refused requests and removed secrets: bounded, from many writers, gone with their source."""

import threading
from typing import Any

import pytest
from sqlalchemy import func, select

from schemas.backing.registry import SYSTEM, PageRequest, Registry
from schemas.backing.registry.objects.refusals import KEPT, MAX_ROWS
from schemas.backing.registry.tables import REFUSALS, REMOVED_SECRETS
from tests.contract.registry.make import source, source_definition
from tests.fakes.clock import ManualClock


def row(source_id: str, number: int, **said: Any) -> dict[str, Any]:
    return {
        "id": f"r-{source_id[:20]}-{number}",
        "source_id": source_id,
        "at_ms": number,
        "document": {"n": number, **said},
    }


def numbers(registry: Registry, source_id: str, limit: int = 200) -> list[int]:
    return [found["n"] for found in registry.refusals.list(source_id, PageRequest(limit)).items]


def stored(registry: Registry, table: Any = REFUSALS) -> int:
    with registry._database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_the_newest_fifty_of_each_source_are_kept(registry: Registry) -> None:
    noisy, quiet = source(registry), source(registry, "github")
    registry.refusals.keep([row(quiet.id, 1)])
    registry.refusals.keep([row(noisy.id, number) for number in range(60)])
    assert numbers(registry, noisy.id) == list(range(59, 9, -1))
    registry.refusals.keep([row(noisy.id, number) for number in (3, 100)])
    assert numbers(registry, noisy.id) == [100, *range(59, 10, -1)]
    assert numbers(registry, quiet.id) == [1]
    assert stored(registry) == KEPT + 1


def test_the_same_flush_twice_changes_nothing(registry: Registry) -> None:
    made = source(registry)
    for _ in range(2):
        registry.refusals.keep([row(made.id, 1), row(made.id, 2)])
    assert numbers(registry, made.id) == [2, 1]


def test_pages_of_a_ring_go_from_new_to_old(registry: Registry) -> None:
    made = source(registry)
    registry.refusals.keep([row(made.id, number) for number in range(5)])
    first = registry.refusals.list(made.id, PageRequest(2))
    assert [found["n"] for found in first.items] == [4, 3]
    rest = registry.refusals.list(made.id, PageRequest(10, first.next_cursor))
    assert ([found["n"] for found in rest.items], rest.next_cursor) == ([2, 1, 0], None)
    assert first.items[0] == {"id": row(made.id, 4)["id"], "atMs": 4, "n": 4}


def test_rows_of_sources_that_are_gone_are_left_out_and_a_ring_ends_with_its_source(registry: Registry) -> None:
    made, gone = source(registry), source(registry, "github")
    registry.refusals.keep([row(gone.id, 1)])
    registry.sources.delete("acme", gone.id, actor=SYSTEM)
    assert stored(registry) == 0
    registry.refusals.keep([row(gone.id, 2), row(made.id, 1)])
    registry.refusals.keep([row(gone.id, 3)])
    assert stored(registry) == 1


def test_refuses_a_flush_or_an_entry_past_its_bound(registry: Registry) -> None:
    made = source(registry)
    with pytest.raises(ValueError, match="1000 rows"):
        registry.refusals.keep([row(made.id, number) for number in range(MAX_ROWS + 1)])
    with pytest.raises(ValueError, match="32768"):
        registry.refusals.keep([row(made.id, 1, text="x" * 40_000)])
    assert stored(registry) == 0


def test_many_workers_fill_one_ring_and_it_stays_bounded(registry: Registry) -> None:
    made, workers = source(registry), 4

    def flush(worker: int) -> None:
        for start in range(0, 100, 20):
            registry.refusals.keep([row(made.id, worker * 1000 + start + number) for number in range(20)])

    threads = [threading.Thread(target=flush, args=(worker,)) for worker in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    registry.refusals.keep([row(made.id, 9_999)])
    assert numbers(registry, made.id) == [9_999, *range(3099, 3050, -1)]
    assert stored(registry) == KEPT


def test_a_refusal_is_no_change_of_the_registry(registry: Registry) -> None:
    made = source(registry)
    before = registry.revision()
    registry.refusals.keep([row(made.id, 1)])
    assert registry.revision() == before


def test_removed_secrets_are_kept_apart_for_a_while(registry: Registry, clock: ManualClock) -> None:
    made = source(registry, auth={"type": "slack", "secrets": ["s0", "s1"]})
    ids = {secret.value: secret.id for secret in registry.load().sources[made.id].secrets}
    registry.sources.remove_secret("acme", made.id, ids[b"s0"], actor=SYSTEM)
    assert [secret.value for secret in registry.load().sources[made.id].secrets] == [b"s1"]
    (old,) = registry.removed_secrets.of(made.id)
    assert (old.id, old.value, old.removed_at_ms) == (ids[b"s0"], b"s0", clock.time_ns() // 1_000_000)
    assert "s0'" not in repr(old)
    for number in range(2, 8):  # replaced by a PUT: each takes the place of the one before
        clock.advance(1)
        changed = source_definition(auth={"type": "slack", "secrets": [f"s{number}"]})
        registry.sources.update("acme", made.id, changed, actor=SYSTEM)
    assert [secret.value for secret in registry.removed_secrets.of(made.id)] == [b"s6", b"s5", b"s4", b"s3"]
    assert stored(registry, REMOVED_SECRETS) == 4
    clock.advance(31 * 86_400)
    assert registry.removed_secrets.of(made.id) == ()


def test_removed_secrets_end_with_their_source_and_never_stand_plain(registry: Registry) -> None:
    made = source(registry, auth={"type": "slack", "secrets": ["pl4in-0ld", "new"]})
    (old, _) = registry.load().sources[made.id].secrets
    registry.sources.remove_secret("acme", made.id, old.id, actor=SYSTEM)
    with registry._database.read() as connection:
        (cipher,) = connection.execute(select(REMOVED_SECRETS.c.ciphertext)).scalars()
    assert b"pl4in-0ld" not in bytes(cipher)
    registry.sources.delete("acme", made.id, actor=SYSTEM)
    assert stored(registry, REMOVED_SECRETS) == 0
