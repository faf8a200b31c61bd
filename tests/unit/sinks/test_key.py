"""What makes versions of one thing, and which one is the latest: one meaning for upserts and `latest`."""

from sinks.columns.key import Key, key_of
from sinks.columns.shape import Branch, Decimals, Kind

SHAPE = Branch(
    {"id": Kind.LONG, "who": Branch({"name": Kind.STRING}), "at": Branch({"n": Decimals(9, 2)}), "all": Kind.JSON}
)


def test_without_a_primary_key_there_is_no_key() -> None:
    assert key_of((), "at.n") is None


def test_a_sequence_counts_once_it_is_a_column_with_an_order() -> None:
    assert Key(("id",), ("at", "n")).compared(SHAPE) == ("at", "n")
    for path in (("at",), ("all",), ("at", "m"), ("id", "x"), ("gone",)):
        assert Key(("id",), path).compared(SHAPE) is None


def test_a_key_is_known_once_each_member_is_a_column() -> None:
    assert Key(("id", "all")).known(SHAPE)
    assert not Key(("id", "gone")).known(SHAPE)
    assert not Key(("who",)).known(SHAPE)


def test_members_and_sequence_are_always_typed() -> None:
    made = key_of(("id", "kind"), "/at/n~1m")
    assert made is not None
    assert made.paths == {("id",), ("kind",), ("at", "n/m")}
