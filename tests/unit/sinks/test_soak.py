"""A short `make soak` runs to its end: every row once, files joined, what it prints."""

from dataclasses import asdict
from pathlib import Path

from sinks.upkeep import compact
from tests.benchmarks import soak


def test_a_short_soak_ends_with_every_row_and_few_files(tmp_path: Path) -> None:
    parts = list(soak.run(tmp_path, tables=1, commits=50))
    assert [len(part.commits_ms) for part in parts] == [5] * soak.PARTS
    assert parts[-1].files < 2 * compact.MIN_INPUTS
    assert sum(part.upkeep_s for part in parts) > 0
    text = soak.told([soak.joined([asdict(part)]) for part in parts])
    assert len(text.splitlines()) == soak.PARTS + 3
    assert "bound 1.3" in text


def test_a_short_soak_of_an_upsert_table_ends_with_the_latest_of_each_key_and_few_deletes(tmp_path: Path) -> None:
    parts = list(soak.run(tmp_path, tables=1, commits=40, upsert=True))
    assert parts[-1].files < 2 * compact.MIN_INPUTS
    assert parts[-1].deletes <= 2 * compact.MIN_INPUTS
    assert sum(part.upkeep_s for part in parts) > 0
