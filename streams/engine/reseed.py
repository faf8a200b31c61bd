"""A changelog that lost what was committed is written anew from the disk, before it is read (rule 8).

Lives here: when, and in which order. RocksDB holds committed state only (rule 7), so where the changelog was made anew,
or its tail is gone, the disk is the better witness: to believe the changelog would decide again, and write twice, what
the raw topics still hold. With the disk gone as well there is no witness left: README.md.
"""

from collections.abc import Mapping

from schemas.logs import logger
from streams.engine.table import FirstSeenTable
from streams.engine.transaction import Transactions

_log = logger(__name__)


def reseed(
    table: FirstSeenTable, transactions: Transactions, group: str, topic_id: str, ends: Mapping[int, int]
) -> Mapping[int, int]:
    """Return the marks to read the changelog up to: `ends`, or those behind the state that was written into it.

    `topic_id` is the changelog's, `ends` the offsets of our marks in it. Killed half-way, it is done again. Blocks.
    """
    table.open()
    try:
        marks = table.marks(len(ends))
        ahead = any(offset > ends.get(number, 0) for number, offset in marks.items())
        if table.changelog_id() in (None, topic_id) and not ahead:
            return ends
        _log.error(
            "changelog_written_anew", group=group, changelog_id=topic_id, disk_made_from=table.changelog_id(),
            why="its tail is gone" if ahead else "it is another topic than the disk was made from",
        )  # fmt: skip
        ends = transactions.republish(table.everything())
        table.follow(topic_id, len(ends))
        return ends
    finally:
        table.close()
