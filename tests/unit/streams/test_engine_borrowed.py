"""Everything that the engine takes from inside Faust, mode and aiokafka is in its README: found by reading the code.

Two ways of taking: an underscore name that we do not define ourselves, and a member of a Faust class that we replace.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import streams
from streams.engine.app import App, BatchTransport, ReadyTables
from streams.engine.conductor import RegistryConductor
from streams.engine.consumer import BatchConsumer
from streams.engine.ledgers import LedgerApp, LedgerConductor, LedgerConsumer, LedgerThread, LedgerTransport
from streams.engine.watch import Alive, Watch

FOLDER = Path(streams.__file__).parent
OURS = (
    App, BatchTransport, ReadyTables, RegistryConductor, BatchConsumer, Alive, Watch,
    LedgerApp, LedgerTransport, LedgerConductor, LedgerConsumer, LedgerThread,
)  # fmt: skip
LISTED = set(re.findall(r"`([A-Za-z_]+)`", (FOLDER / "engine" / "README.md").read_text("utf-8")))
NOT_OF_FAUST = {"_exit", "_replace", "_PARTITION_EOF"}
"""os._exit, namedtuple._replace, and an error code that librdkafka makes itself."""


def trees() -> Iterator[ast.AST]:
    for path in sorted(FOLDER.rglob("*.py")):
        yield ast.parse(path.read_text("utf-8"))


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def defined() -> set[str]:
    """Return the underscore names that streams/ defines: functions, classes, attributes, slots and constants."""
    found = set[str]()
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                found.add(node.attr)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
    return found


def replaced(ours: type) -> set[str]:
    """Return the members of a class of ours that a base of it has too."""
    tree = next(
        node
        for tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name == ours.__name__
    )
    own = {name for name in vars(ours) if not name.startswith("__")} - {"_abc_impl"}
    own |= {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }
    made_by_mode = {"_init_subclass", "_tasks", "abstract", "logger", "log", "OptionDefaults"}
    return {name for name in own if any(hasattr(base, name) for base in ours.__bases__)} - made_by_mode


def test_every_private_name_of_another_library_is_listed() -> None:
    ours, taken = defined(), set[str]()
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and private(node.attr):
                of_self = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
                if node.attr not in ours or not of_self:
                    taken.add(node.attr)
    assert sorted(taken - NOT_OF_FAUST - LISTED) == []
    assert taken


@pytest.mark.parametrize("ours", OURS, ids=lambda ours: ours.__name__)
def test_every_member_of_faust_that_is_replaced_is_listed(ours: type) -> None:
    assert sorted(replaced(ours) - LISTED) == []
