"""Which names become columns."""

import pytest
from pyiceberg.schema import make_compatible_name

from sinks.columns import names


@pytest.mark.parametrize("name", ["", "a.b", " a", "a\n", "x" * 129, "\ud800"])
def test_refuses_a_name_that_would_break_a_table(name: str) -> None:
    assert not names.usable(name)


@pytest.mark.parametrize("name", ["a", "a b", "+1", "größe", "0", "_x", "a-b", "@id"])
def test_files_hold_names_as_iceberg_writes_them(name: str) -> None:
    assert names.usable(name)
    assert names.file_name(name) == make_compatible_name(name)


def test_sees_two_names_that_would_be_one_column() -> None:
    assert names.key("ID") == names.key("id")
    assert names.key("a_x20b") == names.key("a b")
    assert names.key("ab") != names.key("a b")
